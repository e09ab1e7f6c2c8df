/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interface net0: between lwIP's netif and the virtio network device.
 *
 * In: a frame is copied into a pbuf of its own length, because buffers of the device are few and
 * a frame may wait for its reader for ever. Out: nothing is copied, lwIP leaves room for
 * the device's header before each frame.
 *
 * Addresses: from the environment, ip=ADDR/LEN,GATEWAY,DNS, or by DHCP; IPv6 by itself. main() does not
 * wait for any of them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/virtio/net.h"
#include "kernel/hart.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/inet_chksum.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "netif/ethernet.h"
#include "net/memory.h"
#include "net/net.h"
#include "net/timewait.h"

#define CHECK_ALL (NETIF_CHECKSUM_ENABLE_ALL)
#define CHECK_NOT_TCP_UDP (CHECK_ALL & ~(NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP))
#define ETHERNET_MTU 1500
#define TCP_CHECKSUM_OFFSET 16 /* in the TCP header */
#define LOOK ((int64_t)500 * 1000000) /* whether there is hope of an address */

struct waiter { /* a goroutine that waits for an address; on its stack */
	struct netpoll_desc desc;
	struct waiter *next;
};

static struct virtio_net device;
static struct netif net0;
static struct waiter *waiters;
static const char *address_source; /* for the message */
static ip4_addr_t announced;
static uint16_t generate;          /* checksums that are lwIP's to generate, not the device's */

/* ---- In ---- */

/*
 * Of an IPv6 option lwIP reads the length even when its kind is the last byte that there is: it finds a 0
 * behind the frame then.
 */
#define BEHIND 1

static struct pbuf *copy_frame(const struct virtq_piece *pieces, unsigned count, size_t length)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)(ETH_PAD_SIZE + length + BEHIND), PBUF_RAM);
	if (!p)
		return NULL;
	p->len = p->tot_len = (u16_t)(ETH_PAD_SIZE + length);
	char *to = (char *)p->payload + ETH_PAD_SIZE;
	for (unsigned i = 0; i < count; i++) {
		memcpy(to, pieces[i].address, pieces[i].length);
		to += pieces[i].length;
	}
	memset(to, 0, BEHIND);
	return p;
}

/*
 * On a wire a frame has 60 bytes at least, and lwIP takes it for granted that an ARP packet is whole. A
 * device can give out fewer, and does when there is less to say.
 */
#define SHORTEST_ARP (SIZEOF_ETH_HDR - ETH_PAD_SIZE + SIZEOF_ETHARP_HDR)

static bool too_short(const struct virtq_piece *first)
{
	const uint8_t *type = (const uint8_t *)first->address + 12;
	return first->length < SIZEOF_ETH_HDR - ETH_PAD_SIZE || (type[0] << 8 | type[1]) == ETHTYPE_ARP;
}

static void receive(const struct virtq_piece *pieces, unsigned count, size_t length,
		    bool checksum_good)
{
	if (length < SHORTEST_ARP && too_short(&pieces[0]))
		return;
	struct pbuf *p = copy_frame(pieces, count, length);
	if (!p)
		return; /* as if the network had lost it */
	NETIF_SET_CHECKSUM_CTRL(&net0, (checksum_good ? CHECK_NOT_TCP_UDP : CHECK_ALL) & generate);
	if (net0.input(p, &net0) != ERR_OK)
		pbuf_free(p);
	/* What loops back from this interface to itself never had a checksum. */
	NETIF_SET_CHECKSUM_CTRL(&net0, CHECK_NOT_TCP_UDP & generate);
}

unsigned interface_poll(unsigned budget)
{
	bool was_full = device.tx_full;
	unsigned frames = virtio_net_poll(&device, budget);
	if (was_full && !device.tx_full)
		tcp_txnow(); /* segments that found the ring full */
	timewait_collect();
	if (!device.up && netif_is_link_up(&net0))
		netif_set_link_down(&net0);
	return frames;
}

bool interface_rearm(void)
{
	return virtio_net_rearm(&device);
}

bool interface_pending(void)
{
	return virtio_net_pending(&device);
}

/* ---- Out ---- */

static void sent(void *cookie)
{
	pbuf_free(cookie);
}

/*
 * Where the checksum is for the device to fill in: lwIP left the field empty, the pseudo
 * header's sum belongs there. Answers the offset of the TCP header in the frame, or 0.
 */
static uint16_t prepare_checksum(struct pbuf *p)
{
	const struct eth_hdr *eth = p->payload;
	char *ip = (char *)p->payload + SIZEOF_ETH_HDR;
	uint32_t sum, header;
	if (eth->type == PP_HTONS(ETHTYPE_IP) && p->len >= SIZEOF_ETH_HDR + IP_HLEN + TCP_HLEN) {
		const struct ip_hdr *v4 = (void *)ip;
		header = IPH_HL_BYTES(v4);
		if (IPH_PROTO(v4) != IP_PROTO_TCP || (IPH_OFFSET(v4) & PP_HTONS(IP_OFFMASK | IP_MF)))
			return 0;
		sum = net_checksum(&v4->src, 8);
	} else if (eth->type == PP_HTONS(ETHTYPE_IPV6) &&
		   p->len >= SIZEOF_ETH_HDR + IP6_HLEN + TCP_HLEN) {
		const struct ip6_hdr *v6 = (void *)ip;
		header = IP6_HLEN;
		if (IP6H_NEXTH(v6) != IP6_NEXTH_TCP)
			return 0;
		sum = net_checksum(&v6->src, 32);
	} else {
		return 0;
	}
	sum += PP_HTONS(IP_PROTO_TCP);
	sum += lwip_htons((u16_t)(p->tot_len - SIZEOF_ETH_HDR - header));
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	struct tcp_hdr *tcp = (void *)(ip + header);
	tcp->chksum = (u16_t)sum;
	return (uint16_t)(SIZEOF_ETH_HDR - ETH_PAD_SIZE + header);
}

/* lwIP's frame, its payload at the Ethernet header's padding. Takes a reference until it is sent. */
static err_t send_frame(struct netif *netif, struct pbuf *p)
{
	struct virtq_piece pieces[VIRTIO_NET_PIECES];
	unsigned count = 0;
	uint16_t start = device.checksum_offload ? prepare_checksum(p) : 0;

	if (!device.up)
		return ERR_IF;
	pbuf_ref(p);
	if (pbuf_clen(p) > VIRTIO_NET_PIECES || pbuf_add_header(p, PBUF_LINK_ENCAPSULATION_HLEN)) {
		/* No room, or in too many pieces: a copy has room and is one piece. */
		struct pbuf *copy = pbuf_clone(PBUF_RAW_TX, PBUF_RAM, p);
		pbuf_free(p);
		if (!copy)
			return ERR_MEM;
		p = copy;
		pbuf_add_header(p, PBUF_LINK_ENCAPSULATION_HLEN);
	}
	for (struct pbuf *q = p; q; q = q->next)
		pieces[count++] = (struct virtq_piece){ q->payload, q->len };
	bool queued = virtio_net_send(&device, pieces, count, start, TCP_CHECKSUM_OFFSET, p);
	pbuf_remove_header(p, PBUF_LINK_ENCAPSULATION_HLEN);
	if (!queued)
		pbuf_free(p);
	return queued ? ERR_OK : ERR_MEM;
}

bool interface_flush(void)
{
	return virtio_net_flush(&device);
}

void interface_notify(void)
{
	virtio_net_notify(&device);
}

/* ---- Addresses ---- */

static void status_changed(struct netif *netif)
{
	const ip4_addr_t *address = netif_ip4_addr(netif);
	if (ip4_addr_isany(address) && !ip4_addr_isany(&announced)) {
		char text[IP4ADDR_STRLEN_MAX];
		hart_print("net0: %s is lost\n", ip4addr_ntoa_r(&announced, text, sizeof text));
		ip4_addr_set_zero(&announced);
	}
	if (!ip4_addr_isany(address) && !ip4_addr_eq(address, &announced)) {
		char text[IP4ADDR_STRLEN_MAX];
		ip4_addr_copy(announced, *address);
		ip4addr_ntoa_r(address, text, sizeof text);
		hart_print("net0: %s/%d %s\n", text,
			   __builtin_popcount(ip4_addr_get_u32(netif_ip4_netmask(netif))),
			   address_source);
	}
	for (struct waiter *waiter = waiters; waiter; waiter = waiter->next)
		net_wake(&waiter->desc, NETPOLL_READ);
}

static bool reachable(const ip_addr_t *to)
{
	if (ip_addr_isloopback(to))
		return true;
	if (IP_IS_V4(to))
		return !ip4_addr_isany(netif_ip4_addr(&net0));
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		if (ip6_addr_isvalid(netif_ip6_addr_state(&net0, i)) &&
		    (ip6_addr_islinklocal(ip_2_ip6(to)) ||
		     !ip6_addr_islinklocal(netif_ip6_addr(&net0, i))))
			return true;
	return false;
}

/* Beyond the link only a router gives an address of IPv6 out, and none has answered any question. */
static bool is_hopeless(const ip_addr_t *to)
{
	if (!IP_IS_V6(to) || ip6_addr_islinklocal(ip_2_ip6(to)) || net0.rs_count > 0)
		return false;
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		if (!ip6_addr_isinvalid(netif_ip6_addr_state(&net0, i)) &&
		    !ip6_addr_islinklocal(netif_ip6_addr(&net0, i)))
			return false; /* not asked yet whether another one has it */
	return true;
}

int interface_wait_address(const ip_addr_t *to, int64_t deadline)
{
	struct waiter waiter = { .next = waiters }, **at;
	int error = 0;
	if (reachable(to))
		return 0;
	waiters = &waiter;
	for (unsigned looks = 0; !error && !reachable(to);) {
		int64_t look = hart_now() + LOOK;
		if (is_hopeless(to) && ++looks > 2) /* the last question may have been just now */
			error = EHOSTUNREACH;
		else if (net_wait(&waiter.desc, NETPOLL_READ, deadline < look ? deadline : look) &&
			 deadline < look)
			error = ETIMEDOUT;
	}
	for (at = &waiters; *at != &waiter; at = &(*at)->next)
		;
	*at = waiter.next;
	return error;
}

/* "10.0.0.2/24", "10.0.0.2/24,GATEWAY", "10.0.0.2/24,GATEWAY,DNS". */
static bool static_address(const char *text)
{
	char copy[64], *save, *end;
	ip4_addr_t address, netmask, gateway = { 0 };
	ip_addr_t server;
	if (strlen(text) >= sizeof copy)
		return false;
	strcpy(copy, text);
	char *first = strtok_r(copy, ",", &save);
	char *second = strtok_r(NULL, ",", &save), *third = strtok_r(NULL, ",", &save);
	char *slash = first ? strchr(first, '/') : NULL;
	if (!slash || slash[1] < '0' || slash[1] > '9')
		return false;
	*slash = '\0';
	unsigned long length = strtoul(slash + 1, &end, 10);
	if (*end || length < 1 || length > 32 || !ip4addr_aton(first, &address) ||
	    (second && !ip4addr_aton(second, &gateway)) || (third && !ipaddr_aton(third, &server)))
		return false;
	if (!third) /* many a gateway answers names too */
		ip_addr_copy_from_ip4(server, gateway);
	dns_setserver(0, &server);
	ip4_addr_set_u32(&netmask, lwip_htonl(UINT32_MAX << (32 - length)));
	netif_set_addr(&net0, &address, &netmask, &gateway);
	return true;
}

static void configure(void)
{
	const char *ip = getenv("ip");
	address_source = "static";
	if (ip && static_address(ip))
		return;
	if (ip)
		hart_print("net0: ip=%s is not ADDRESS/LENGTH,GATEWAY,DNS; asking DHCP\n", ip);
	address_source = "by DHCP";
	dhcp_start(&net0);
}

static err_t netif_init_net0(struct netif *netif)
{
	netif->name[0] = 'n';
	netif->name[1] = '0';
	netif->hostname = "gump";
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = send_frame;
	netif->mtu = ETHERNET_MTU;
	netif->hwaddr_len = sizeof device.mac;
	memcpy(netif->hwaddr, device.mac, sizeof device.mac);
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
		       NETIF_FLAG_MLD6 | NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

u8_t interface_zone(unsigned long number)
{
	return number == 0 ? netif_get_index(&net0) : 0;
}

unsigned interface_number(u8_t zone)
{
	return 0;
}

bool interface_start(void)
{
	static const struct virtio_net_callbacks callbacks = { sched_netpoll_ready, receive, sent };
	if (virtio_net_start(&device, &callbacks))
		return false;
	generate = device.checksum_offload ? CHECK_ALL & ~NETIF_CHECKSUM_GEN_TCP : CHECK_ALL;
	netif_add_noaddr(&net0, NULL, netif_init_net0, ethernet_input);
	NETIF_SET_CHECKSUM_CTRL(&net0, CHECK_NOT_TCP_UDP & generate);
	netif_set_default(&net0);
	netif_set_status_callback(&net0, status_changed);
	netif_create_ip6_linklocal_address(&net0, 1);
	net0.ip6_autoconfig_enabled = 1;
	netif_set_up(&net0);
	configure();
	if (interface_flush())
		interface_notify();
	return true;
}
