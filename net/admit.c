/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is let into TCP: a hook that lwIP calls for each segment once it knows whose it is.
 *
 * When the network's memory is scarce, new data is dropped for those connections that have not
 * read what they have. Their peers send it again; acknowledgements, which free memory, and readers
 * who keep up go through.
 *
 * A closed window: lwIP takes every segment for one outside of it and answers, even a mere
 * acknowledgement; two such peers that do not read would answer each other for ever. One byte of
 * window that is never announced makes it see that nothing is wrong.
 *
 * A segment without ACK: lwIP would take its data, and a reset of a connection that is being opened (RFC
 * 9293, 3.10.7 has both dropped).
 *
 * A SYN for a connection that is half open: lwIP would read its options once more, and asserts that the
 * window is still that of a new pcb, which a listener has made smaller. Whoever sends two of them, the second
 * with a scale, would end the machine. If it is the same SYN, our answer was lost, and is sent again.
 *
 * lwIP challenges the sender of what may be forged as often as it comes. Here a connection does once in a
 * while.
 */
#include "lwip/priv/tcp_priv.h"
#include "lwip_hooks.h"
#include "net/conn.h"
#include "net/memory.h"
#include "net/timewait.h"

static void answer_again(struct tcp_pcb *pcb)
{
	u8_t attempts = pcb->nrtx; /* those of its timer, which gives up after some */

	if (tcp_rexmit(pcb) != ERR_OK) /* it has not left yet */
		return;
	pcb->nrtx = attempts;
	tcp_output(pcb);
}

static err_t admit_early(struct tcp_pcb *pcb, const struct tcp_hdr *header, const struct pbuf *p)
{
	if (pcb->state == LISTEN)
		return timewait_admit(header, p) ? ERR_OK : ERR_ABRT;
	if (pcb->state == SYN_SENT && (TCPH_FLAGS(header) & (TCP_RST | TCP_ACK)) == TCP_RST)
		return ERR_ABRT;
	if (pcb->state != SYN_RCVD || !(TCPH_FLAGS(header) & TCP_SYN))
		return ERR_OK;
	if (header->seqno + 1 == pcb->rcv_nxt)
		answer_again(pcb);
	return ERR_ABRT;
}

/* Who sent it is to show that he knows the numbers (RFC 5961, 3.2 and 4.2). */
static bool is_challenged(const struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
	if (TCPH_FLAGS(header) & TCP_SYN)
		return true;
	return TCPH_FLAGS(header) & TCP_RST && header->seqno != pcb->rcv_nxt &&
	       header->seqno - pcb->rcv_nxt < pcb->rcv_wnd;
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
		       const struct pbuf *p)
{
	if (options_length > 0 && !options_are_whole((const uint8_t *)(header + 1), options_length))
		return ERR_ABRT;
	if (pcb->state < ESTABLISHED)
		return admit_early(pcb, header, p);
	if (!(TCPH_FLAGS(header) & (TCP_ACK | TCP_RST | TCP_SYN)))
		return ERR_ABRT;
	if (is_challenged(pcb, header) && !conn_may_challenge(pcb))
		return ERR_ABRT;
	if (p->tot_len > 0 && net_memory_scarce() && conn_has_unread(pcb))
		return ERR_MEM;
	if (p->tot_len == 0 && pcb->rcv_wnd == 0 && header->seqno == pcb->rcv_nxt)
		pcb->rcv_wnd = 1;
	return ERR_OK;
}
