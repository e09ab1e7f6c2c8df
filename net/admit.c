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
 */
#include "lwip/priv/tcp_priv.h"
#include "lwip_hooks.h"
#include "net/conn.h"
#include "net/memory.h"
#include "net/timewait.h"

err_t net_admit_packet(struct tcp_pcb *pcb, const struct tcp_hdr *header, const struct pbuf *p)
{
	if (pcb->state == LISTEN)
		return timewait_admit(header, p) ? ERR_OK : ERR_ABRT;
	if (p->tot_len > 0 && net_memory_scarce() && conn_has_unread(pcb))
		return ERR_MEM;
	if (p->tot_len == 0 && pcb->rcv_wnd == 0 && header->seqno == pcb->rcv_nxt)
		pcb->rcv_wnd = 1;
	return ERR_OK;
}
