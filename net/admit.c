/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is let into TCP: a hook that lwIP calls for each segment once it knows whose it is.
 *
 * Memory: when the network's is scarce, new data is dropped for those connections that have not
 * read what they have. Their peers send it again; acknowledgements, which free memory, and readers
 * who keep up go through.
 *
 * TIME_WAIT: a client may open a new connection with the addresses and ports of one that this side
 * still remembers. A SYN whose sequence number lies beyond the old connection's ends that one
 * (RFC 1122, 4.2.2.13); lwIP would answer with a reset or not at all. By then lwIP has chosen the
 * old pcb, so the frame is to be put in again.
 */
#include "lwip/priv/tcp_priv.h"
#include "lwip_hooks.h"
#include "net/memory.h"
#include "net/net.h"

static bool again;

bool net_admit_again(void)
{
	bool answer = again;
	again = false;
	return answer;
}

err_t net_admit_packet(struct tcp_pcb *pcb, const struct tcp_hdr *header, const struct pbuf *p)
{
	if (pcb->state == LISTEN)
		return ERR_OK;
	if (pcb->state == TIME_WAIT) {
		if ((TCPH_FLAGS(header) & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN ||
		    !TCP_SEQ_GT(header->seqno, pcb->rcv_nxt))
			return ERR_OK;
		tcp_abort(pcb); /* sends nothing in this state */
		again = true;
		return ERR_ABRT;
	}
	if (p->tot_len > 0 && net_memory_scarce() && pcb->rcv_wnd < TCP_WND_MAX(pcb))
		return ERR_MEM;
	return ERR_OK;
}
