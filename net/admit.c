/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is let into TCP: a hook that lwIP calls for each segment once it knows whose it is.
 *
 * When the network's memory is scarce, new data is dropped for those connections that have not
 * read what they have, and so is what comes before its turn, which nobody can read yet. Their peers send it
 * again; acknowledgements, which free memory, and readers who keep up go through.
 *
 * What comes before its turn lwIP keeps as it is, also beyond the end of the window, and asserts later that
 * it has not: whoever sends it would end the machine. The same holds for data behind a FIN that is kept,
 * since that FIN moves behind them. Neither is what an honest peer sends: it is dropped, and answered.
 *
 * A peer's end, with nothing before it, at a closed window: lwIP takes it for a byte beyond, and answers
 * until there is room. One byte of window that is never announced, and that nothing else can take, is for it.
 *
 * A segment without ACK: lwIP would take its data, and a reset of a connection that is being opened (RFC
 * 9293, 3.10.7 has both dropped). An acknowledgement of our SYN without the peer's: lwIP would answer with a
 * reset (it is dropped, too).
 *
 * A SYN for a connection that is half open: lwIP would read its options once more, and asserts that the
 * window is still that of a new pcb, which a listener has made smaller. Whoever sends two of them, the second
 * with a scale, would end the machine. If it is the same SYN, our answer was lost, and is sent again. If it
 * is the answer to our own SYN, they have crossed, and that is how such a connection is established. An
 * acknowledgement there whose sequence number is not in the window: lwIP would not look at that number.
 *
 * A segment that lies outside of the window (RFC 9293, 3.10.7.4): lwIP takes its word for the peer's window,
 * and for a sign of life. Whoever knew addresses and ports could stop what is sent to a peer, or keep the
 * connection of one that is gone. It is answered, since its sender may have missed our last, and dropped.
 *
 * A segment that acknowledges what was never sent: lwIP would answer it, and take its data and its end.
 *
 * lwIP challenges the sender of what may be forged as often as it comes. Here a connection does once in a
 * while, and answers what is bare and outside of the window no oftener: two sides whose numbers differ would
 * answer each other for ever. What is sent again is answered each time.
 */
#include "lwip/priv/tcp_priv.h"
#include "lwip_hooks.h"
#include "net/conn.h"
#include "net/memory.h"

static void answer_again(struct tcp_pcb *pcb)
{
	u8_t attempts = pcb->nrtx; /* those of its timer, which gives up after some */

	if (tcp_rexmit(pcb) != ERR_OK) /* it has not left yet */
		return;
	pcb->nrtx = attempts;
	tcp_output(pcb);
}

static err_t admit_half_open(struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
	if (!(TCPH_FLAGS(header) & (TCP_SYN | TCP_RST)) && header->seqno - pcb->rcv_nxt >= pcb->rcv_wnd) {
		tcp_send_empty_ack(pcb);
		return ERR_ABRT;
	}
	if (!(TCPH_FLAGS(header) & TCP_SYN))
		return ERR_OK;
	if (header->seqno + 1 != pcb->rcv_nxt)
		return ERR_ABRT;
	if (pcb->connected && TCPH_FLAGS(header) & TCP_ACK)
		return ERR_OK;
	answer_again(pcb);
	return ERR_ABRT;
}

static err_t admit_early(struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
	if (pcb->state == SYN_RCVD)
		return admit_half_open(pcb, header);
	if (pcb->state != SYN_SENT) /* of a listener there is no more than the beginning */
		return ERR_OK;
	uint8_t flags = TCPH_FLAGS(header) & (TCP_SYN | TCP_RST | TCP_ACK);
	bool is_ours = flags == TCP_ACK && header->ackno == pcb->snd_nxt;
	return flags == TCP_RST || is_ours ? ERR_ABRT : ERR_OK;
}

/* Who sent it is to show that he knows the numbers (RFC 5961, 3.2 and 4.2). */
static bool is_challenged(const struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
	if (TCPH_FLAGS(header) & TCP_SYN)
		return true;
	return TCPH_FLAGS(header) & TCP_RST && header->seqno != pcb->rcv_nxt &&
	       header->seqno - pcb->rcv_nxt < pcb->rcv_wnd;
}

/*
 * No part of it is in the window. At the right edge is who has filled it, and one behind that is lwIP after
 * it has probed a closed window, or has sent its end there: their acknowledgements count.
 */
static bool is_outside(const struct tcp_pcb *pcb, const struct tcp_hdr *header, uint32_t length)
{
	if (TCP_SEQ_LT(header->seqno, pcb->rcv_nxt))
		return TCP_SEQ_LEQ(header->seqno + length, pcb->rcv_nxt);
	return header->seqno - pcb->rcv_nxt > pcb->rcv_wnd + (length == 0);
}

/* It acknowledges what was never sent, or what is further back than there was ever room (RFC 5961, 5.2). */
static bool is_impossible(const struct tcp_pcb *pcb, uint32_t ackno)
{
	return TCP_SEQ_GT(ackno, pcb->snd_nxt) || TCP_SEQ_LT(ackno, pcb->lastack - pcb->snd_wnd_max);
}

/* Whether what a segment says counts. If not, it is answered. Others look after resets and SYNs. */
static bool is_believed(struct tcp_pcb *pcb, const struct tcp_hdr *header, uint32_t length)
{
	if (TCPH_FLAGS(header) & (TCP_RST | TCP_SYN) || pcb->state == TIME_WAIT)
		return true;
	bool outside = is_outside(pcb, header, length);
	if (!outside && !is_impossible(pcb, header->ackno))
		return true;
	if ((outside && length > 0) || conn_may_challenge(pcb))
		tcp_send_empty_ack(pcb);
	return false;
}

/*
 * Whether what lwIP would keep of a segment lies in the window and not behind the end that is known. What is
 * in its turn it cuts off at the window itself, what is beyond altogether it drops.
 */
static bool fits(const struct tcp_pcb *pcb, const struct tcp_hdr *header, const struct pbuf *p)
{
	uint32_t before = header->seqno - pcb->rcv_nxt, end = before + p->tot_len;
	bool fin = TCPH_FLAGS(header) & TCP_FIN;
	const struct tcp_seg *last = pcb->ooseq;

	if (pcb->state >= CLOSE_WAIT || TCPH_FLAGS(header) & (TCP_RST | TCP_SYN) || (p->tot_len == 0 && !fin))
		return true; /* none of it is kept */
	if (before > 0 && before < pcb->rcv_wnd && end + fin > pcb->rcv_wnd)
		return false;
	while (last && last->next)
		last = last->next;
	if (!last || !(TCPH_FLAGS(last->tcphdr) & TCP_FIN))
		return true;
	return !TCP_SEQ_GT(end, last->tcphdr->seqno + last->len - pcb->rcv_nxt);
}

/* lwIP reads the length of an option even when its kind is the last byte that there is. */
static bool options_are_whole(const uint8_t *at, unsigned length)
{
	for (unsigned i = 0; i < length && at[i] != LWIP_TCP_OPT_EOL;) {
		if (at[i] == LWIP_TCP_OPT_NOP) {
			i++;
			continue;
		}
		if (i + 1 == length)
			return false;
		if (at[i + 1] < 2) /* it stops here */
			return true;
		i += at[i + 1];
	}
	return true;
}

err_t net_admit_packet(struct tcp_pcb *pcb, const struct tcp_hdr *header, u16_t options_length,
		       u16_t of_it_here, const struct pbuf *p)
{
	if (of_it_here < options_length) /* the rest is in another fragment: only an attacker's is so small */
		return ERR_ABRT;
	if (options_length > 0 && !options_are_whole((const uint8_t *)(header + 1), options_length))
		return ERR_ABRT;
	if (pcb->state >= SYN_RCVD && !fits(pcb, header, p)) {
		tcp_send_empty_ack(pcb);
		return ERR_ABRT;
	}
	if (pcb->state < ESTABLISHED)
		return admit_early(pcb, header);
	if (!(TCPH_FLAGS(header) & (TCP_ACK | TCP_RST | TCP_SYN)))
		return ERR_ABRT;
	if (is_challenged(pcb, header) && !conn_may_challenge(pcb))
		return ERR_ABRT;
	if (!is_believed(pcb, header, p->tot_len + !!(TCPH_FLAGS(header) & TCP_FIN)))
		return ERR_ABRT;
	if (p->tot_len > 0 && net_memory_scarce() &&
	    (TCP_SEQ_GT(header->seqno, pcb->rcv_nxt) || conn_has_unread(pcb)))
		return ERR_MEM;
	bool is_end = TCPH_FLAGS(header) & TCP_FIN && p->tot_len == 0 && header->seqno == pcb->rcv_nxt;
	if (is_end && pcb->rcv_wnd == 0)
		pcb->rcv_wnd = 1;
	return ERR_OK;
}
