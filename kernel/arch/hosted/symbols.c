/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Function names for backtraces: out of the executable's own symbol table, which is mapped at the start, and
 * of libraries what the dynamic linker knows, their own name if nothing else.
 */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hosted.h"
#include "kernel/layout.h"

uintptr_t text_start, text_end;
extern const char text_last[] __attribute__((weak)); /* last.S */

static const Elf64_Sym *table;
static size_t count;
static const char *names;

void symbols_init(void)
{
	struct stat stat;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) != 0)
		return;
	const char *file = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (file == MAP_FAILED)
		return;
	const Elf64_Ehdr *header = (const void *)file;
	const Elf64_Shdr *sections = (const void *)(file + header->e_shoff);
	for (int i = 0; i < header->e_shnum; i++)
		if (sections[i].sh_type == SHT_SYMTAB) {
			table = (const void *)(file + sections[i].sh_offset);
			count = sections[i].sh_size / sizeof(Elf64_Sym);
			names = file + sections[sections[i].sh_link].sh_offset;
		} else if (sections[i].sh_flags & SHF_EXECINSTR &&
			   (uintptr_t)symbols_init - sections[i].sh_addr < sections[i].sh_size) {
			text_start = sections[i].sh_addr;
			text_end = text_start + sections[i].sh_size;
			if (text_last != NULL)
				text_end = (uintptr_t)text_last;
		}
}

static const char *of_library(uintptr_t pc, size_t *offset)
{
	Dl_info info;

	if (dladdr((void *)pc, &info) == 0)
		return "?";
	*offset = pc - (uintptr_t)(info.dli_sname != NULL ? info.dli_saddr : info.dli_fbase);
	if (info.dli_sname != NULL)
		return info.dli_sname;
	const char *slash = strrchr(info.dli_fname, '/');
	return slash != NULL ? slash + 1 : info.dli_fname;
}

const char *hart_symbol(uintptr_t pc, size_t *offset)
{
	const char *name = "?";
	uintptr_t best = 0;

	*offset = 0;
	if (pc < (uintptr_t)__text_start || pc >= (uintptr_t)__text_end)
		return of_library(pc, offset);
	for (size_t i = 0; i < count; i++) {
		const Elf64_Sym *s = &table[i];
		if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && s->st_value <= pc && s->st_value >= best &&
		    (pc < s->st_value + s->st_size || s->st_size == 0)) {
			best = s->st_value;
			name = names + s->st_name;
			*offset = pc - best;
		}
	}
	return strncmp(name, "gump.", 5) == 0 ? name + 5 : name; /* qemu/hide-names */
}
