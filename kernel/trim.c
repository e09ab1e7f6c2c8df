/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of stacks that are taken away from goroutines that wait.
 *
 * A cycle is three steps, which the scheduler drives on g0 (sched/cycle.c), while everything else goes on:
 *
 *   hide    Each page of a waiting G's stack below what it uses stays in its page-table entry but is not
 *           valid any more; if the G uses little of its topmost page, so is that; and else so is the lowest
 *           one that it does use, which is hidden only to learn of it when the G goes on. Whoever touches a
 *           hidden page gets it back at once, with its contents, in stack_fault().
 *   flush   One shoot-down: from here on no hart reaches a hidden page past its entry.
 *   take    If no page of the stack was shown or came since then, the G has not run: it would begin by
 *           reading its context, and park by saving one. Pages below what it uses are free. Of the topmost
 *           one, what it uses is packed into a page together with other stacks' bytes, and comes back at the
 *           same address at the next touch: the G's own when it goes on, another's through a pointer, a
 *           channel's hand-over.
 *
 * So neither the program nor the scheduler knows whether a stack is packed. All of this needs no memory: the
 * first page that is taken becomes the one that others are packed into. Not blocks of the heap: when memory
 * is short the heap has none, and it takes pages by eight in a row, which may not be had when a thousand
 * stacks would come free.
 *
 * A cycle looks at the stacks that are warm: a page of theirs came, or was shown, since one last found all of
 * it either in use or hidden. So its work is what has happened since then, however many others wait: who
 * goes on touches what was hidden, or packed, and is warm again. Whose a stack is stands at its top
 * (hart_stack_own()); a program that has written over that keeps its pages, and harms nobody else.
 *
 * The warm ones stand in a queue, by pages of slots. A round is all that it holds when the round begins. It
 * is asked at once, or some at a time, each with the three steps, and other goroutines run in between.
 *
 * An empty table of pages is left out of walks, and free after the next flush: that of the next cycle, or, if
 * they are many, one more at the end of this.
 */
#include <string.h>

#include "kernel/hart.h"
#include "kernel/pages.h"
#include "kernel/stacks.h"
#include "kernel/vm.h"

#define DEAD_TABLES 64
#define PACK_MAX 1536 /* more is not packed: little would be gained */
#define SHOW_LEAVES 16 /* pages, for what a report needs itself */
#define AT_ONCE 256   /* pages of a stack that are hidden, or taken, before others get the VM lock */

/* At the start of a page that stacks are packed into. */
struct pack {
	uint32_t stacks; /* that are in it still */
	uint32_t used;   /* bytes from the page's start */
} __attribute__((aligned(8)));

static struct pack *filling;               /* the one that has room; NULL: none. Under the VM lock */
/* linked through their first words, free after the next flush; the same */
static uint64_t dead_tables;
static unsigned dead_table_count;
static struct slots *warm = SLOTS_END;      /* those with warm slots, a queue; the same */
static struct slots **warm_end = &warm;
static size_t warm_pages, round_left;      /* in the queue; of the round, at its head; the same */
static uint32_t cycle;                     /* which one is under way; one hart at a time runs one */
static struct slots *asked = SLOTS_END;     /* those that it asks */
static bool flushed;                       /* its flush has been */
static struct hart_trim counts;            /* of that one */

/*
 * Moves what is in use of a topmost page that was taken. False: that page is the one which things
 * are packed into now.
 */
static bool pack(struct slot *slot, char *page, size_t bytes)
{
	size_t room = (bytes + 7) & ~(size_t)7;
	bool full = filling == NULL || filling->used + room > PAGE_SIZE;

	if (full) {
		memmove(page + sizeof(struct pack), page + PAGE_SIZE - bytes, bytes);
		filling = (struct pack *)page;
		*filling = (struct pack){ .used = sizeof(struct pack) };
	} else {
		memcpy((char *)filling + filling->used, page + PAGE_SIZE - bytes, bytes);
	}
	slot->packed = (char *)filling + filling->used;
	slot->state = SLOT_PACKED;
	slot->mark = (uint32_t)bytes;
	filling->stacks++;
	filling->used += (uint32_t)room;
	counts.packed++;
	return !full;
}

uint64_t slot_unpack(struct slot *slot, uint64_t page)
{
	uintptr_t place = (uintptr_t)slot->packed & ~(PAGE_SIZE - 1);
	struct pack *pack = (struct pack *)place;

	memcpy((char *)(uintptr_t)page + PAGE_SIZE - slot->mark, slot->packed, slot->mark);
	slot->state = SLOT_IN_USE;
	slot->mark = 0;
	if (--pack->stacks != 0)
		return 0;
	if (pack == filling)
		filling = NULL;
	return place;
}

/* ---- Which stacks are asked ---- */

static uint64_t slot_bit(const struct slots *page, const struct slot *slot)
{
	return (uint64_t)1 << (slot - page->slot) % 64;
}

static uint64_t *slot_word(struct slots *page, const struct slot *slot)
{
	return &page->warm[(slot - page->slot) / 64];
}

static void queue_put(struct slots *page)
{
	page->next_warm = SLOTS_END;
	*warm_end = page;
	warm_end = &page->next_warm;
	warm_pages++;
}

static struct slots *queue_get(void)
{
	struct slots *page = warm;

	warm = page->next_warm;
	if (warm == SLOTS_END)
		warm_end = &warm;
	warm_pages--;
	return page;
}

void slot_warm(struct slot *slot)
{
	struct slots *page = slots_of(slot);

	*slot_word(page, slot) |= slot_bit(page, slot);
	if (page->next_warm == NULL) /* else it is in the queue already, or asked, and then it stays there */
		queue_put(page);
}

static void slot_cool(struct slot *slot)
{
	struct slots *page = slots_of(slot);

	*slot_word(page, slot) &= ~slot_bit(page, slot);
}

static size_t warm_slots(const struct slots *page)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(page->warm) / sizeof(page->warm[0]); i++)
		n += (size_t)__builtin_popcountll(page->warm[i]);
	return n;
}

/* From the round's, pages of slots until they have so many warm ones. */
static void ask_warm(bool anew, size_t most)
{
	size_t slots = 0;

	vm_lock();
	if (anew)
		round_left = warm_pages;
	for (; round_left != 0 && slots < most; round_left--) {
		struct slots *page = queue_get();
		slots += warm_slots(page);
		page->next_warm = asked;
		asked = page;
	}
	counts.more = round_left != 0;
	vm_unlock();
}

/* Those that are warm still go into the queue again. */
static void asked_end(void)
{
	vm_lock();
	for (struct slots *page; (page = asked) != SLOTS_END;) {
		asked = page->next_warm;
		page->next_warm = NULL;
		if (warm_slots(page) != 0)
			queue_put(page);
	}
	vm_unlock();
}

/* Whoever's it is, of `size` bytes; NULL: what stands there cannot be. */
static void *owner_of(const struct slot *slot, uintptr_t top, size_t size)
{
	uintptr_t owner = 0;

	vm_lock();
	uint64_t page = slot->state == SLOT_IN_USE ? vm_page(top - PAGE_SIZE) : 0;
	if (page != 0)
		owner = *(volatile uintptr_t *)(uintptr_t)(page + PAGE_SIZE - sizeof(owner));
	vm_unlock();
	return owner % sizeof(owner) == 0 && pages_of_heap(owner, size) ? (void *)owner : NULL;
}

/* How much of the topmost page is packed: 0 if it is not worth it, or more than that page is in use. */
static size_t packable(uintptr_t top, uintptr_t sp)
{
	return top - sp <= PACK_MAX ? top - sp : 0;
}

/* Pages from the top that stay, for one who uses the stack down to sp. */
static uint32_t kept_pages(uintptr_t top, uintptr_t sp)
{
	return packable(top, sp) != 0 || top == sp ? 0 : (uint32_t)((top - sp + PAGE_SIZE - 1) >> PAGE_SHIFT);
}

static uintptr_t page_at(uintptr_t top, uint32_t i)
{
	return top - ((uintptr_t)i + 1) * PAGE_SIZE;
}

static void hide(uintptr_t top, struct slot *slot, uintptr_t sp)
{
	uint32_t kept = kept_pages(top, sp), first = kept == 0 ? 0 : kept - 1, i = first;
	bool more;

	do {
		vm_lock();
		more = slot->state != SLOT_PACKED && (i == first || slot->mark == cycle);
		if (more) {
			slot->mark = cycle; /* until somebody touches one */
			for (uint32_t n = 0; n < AT_ONCE && i < slot->depth; n++)
				vm_hide(page_at(top, i++));
			more = i < slot->depth;
		}
		vm_unlock();
	} while (more);
}

/* The pages that were taken under the VM lock, and are freed after it. */
struct taken {
	uint64_t first; /* linked through their first words */
	size_t count;
};

static void taken_add(struct taken *taken, uint64_t page)
{
	*(uint64_t *)(uintptr_t)page = taken->first;
	taken->first = page;
	taken->count++;
}

static void taken_free(struct taken *taken)
{
	for (uint64_t page, next = taken->first; (page = next) != 0;) {
		next = *(uint64_t *)(uintptr_t)page;
		pages_free_in_trap(page);
	}
	counts.bytes += taken->count << PAGE_SHIFT;
}

static void take_table(uintptr_t va)
{
	uint64_t table = vm_take_table(va);

	if (table == 0)
		return;
	/* Another hart may be walking it still, and finds nothing there: a page's address is
	   no valid entry either. */
	struct taken dead = { dead_tables, 0 };
	taken_add(&dead, table);
	dead_tables = dead.first;
	dead_table_count++;
}

/*
 * Is the table needed for the topmost page of the next slot? Slots are asked in the order of their addresses,
 * so this spares most of the looks at a whole table.
 */
static bool next_needs_table(const struct slot *slot, uintptr_t top)
{
	const struct slot *next = slot + 1;

	return next < &slots_of(slot)->slot[SLOTS_A_PAGE] && next->depth != 0 &&
	       (page_at(top, 0) ^ page_at(slot_top(next), 0)) >> TABLE_SHIFT == 0;
}

/*
 * The lowest page; there may be none, where a large frame was stepped over. False: it was not hidden. Its
 * owner waited there, went on before the flush, and has ended, or used less when it stopped. Under the VM
 * lock.
 */
static bool take_lowest(uintptr_t top, struct slot *slot, size_t bytes, struct taken *taken)
{
	uint32_t i = slot->depth - 1;
	uintptr_t va = page_at(top, i);
	uint64_t page = vm_take(va);

	if (page == 0 && vm_page(va) != 0)
		return false;
	slot->depth = i & 0xffffff;
	if (page != 0 && (i != 0 || bytes == 0 || pack(slot, (char *)(uintptr_t)page, bytes)))
		taken_add(taken, page);
	if (i != 0 && (va ^ page_at(top, i - 1)) >> TABLE_SHIFT != 0)
		take_table(va);
	return true;
}

/* True: there are more. Under the VM lock. */
static bool take_some(uintptr_t top, struct slot *slot, uintptr_t sp, struct taken *taken)
{
	size_t bytes = packable(top, sp);
	uint32_t kept = kept_pages(top, sp);

	for (unsigned n = 0; n < AT_ONCE && slot->depth > kept; n++)
		if (!take_lowest(top, slot, bytes, taken))
			return false;
	if (slot->depth > kept)
		return true;
	if (kept == 0 || vm_is_hidden(page_at(top, kept - 1)))
		slot_cool(slot);
	if (slot->depth == 0 && !next_needs_table(slot, top))
		take_table(page_at(top, 0));
	return false;
}

/* Of one in that state: it stays so while nobody touches it. */
static void take(uintptr_t top, struct slot *slot, uintptr_t sp, enum slot_state state)
{
	bool more;

	do {
		struct taken taken = { 0 };
		vm_lock();
		more = slot->mark == cycle && slot->state == state && take_some(top, slot, sp, &taken);
		vm_unlock();
		taken_free(&taken);
	} while (more);
}

/* ---- What the scheduler calls ---- */

/* One that nobody has: nobody else knows of it. Locked. */
static void trim_free(struct slot *slot, uintptr_t top)
{
	if (flushed)
		take(top, slot, top, SLOT_FREE);
	else
		hide(top, slot, top);
}

void hart_trim_begin(bool anew, size_t most)
{
	counts = (struct hart_trim){ 0 };
	if (++cycle == 0)
		cycle = 1;
	flushed = false;
	ask_warm(anew, most);
}

static void ask(struct slot *slot, void (*fn)(void *owner, uintptr_t top), size_t size)
{
	uintptr_t top = slot_top(slot);

	counts.asked += !flushed;
	if (slot_free_lock(slot)) {
		trim_free(slot, top);
		slot_free_unlock(slot);
		return;
	}
	void *owner = owner_of(slot, top, size);
	if (owner != NULL)
		fn(owner, top);
}

static void ask_those(struct slots *page, unsigned word, void (*fn)(void *owner, uintptr_t top), size_t size)
{
	/* One that becomes warm now is asked next time. */
	uint64_t left = *(volatile uint64_t *)&page->warm[word];

	for (; left != 0; left &= left - 1)
		ask(&page->slot[64 * word + (unsigned)__builtin_ctzll(left)], fn, size);
}

bool hart_trim_each(void (*fn)(void *owner, uintptr_t top), size_t size)
{
	for (struct slots *page = asked; page != SLOTS_END; page = page->next_warm)
		for (unsigned i = 0; i < sizeof(page->warm) / sizeof(page->warm[0]); i++)
			ask_those(page, i, fn, size);
	return true;
}

/* The slot of the stack with that top, if sp lies in it: the two may have been read while they changed. */
static struct slot *slot_used_to(uintptr_t stack_top, uintptr_t sp)
{
	uintptr_t top;
	size_t size;
	struct slot *slot = slot_of(stack_top - 1, &top, &size);

	return slot != NULL && top == stack_top && sp < top && sp >= top - size ? slot : NULL;
}

void hart_trim_hide(uintptr_t top, uintptr_t sp)
{
	struct slot *slot = slot_used_to(top, sp);

	if (slot != NULL)
		hide(top, slot, sp);
}

static bool flush(void)
{
	vm_lock();
	uint64_t dead = dead_tables;
	unsigned tables = dead_table_count;
	dead_tables = 0;
	dead_table_count = 0;
	vm_unlock();
	if (!arch_vm_flush())
		return false; /* nor will it ever: nothing is ever taken, and no table dies */
	struct taken taken = { dead, tables };
	taken_free(&taken);
	return true;
}

bool hart_trim_flush(bool must)
{
	/* For tables that others let die meanwhile the next one is early enough. */
	flushed = (!must && counts.asked == 0 && dead_table_count == 0) || flush();
	return flushed;
}

void hart_trim_take(uintptr_t top, uintptr_t sp)
{
	struct slot *slot = slot_used_to(top, sp);

	if (slot != NULL)
		take(top, slot, sp, SLOT_IN_USE);
}

struct hart_trim hart_trim_end(void)
{
	asked_end();
	if (dead_table_count > DEAD_TABLES)
		flush();
	return counts;
}

bool hart_trim_show(uintptr_t sp)
{
	uintptr_t top;
	size_t size;

	if (slot_of(sp, &top, &size) == NULL)
		return true;
	for (uintptr_t va = top - PAGE_SIZE; va + PAGE_SIZE > sp; va -= PAGE_SIZE) {
		if (vm_page(va) == 0 && pages_free_count() < SHOW_LEAVES)
			return false;
		(void)*(volatile char *)va; /* a touch */
	}
	return true;
}
