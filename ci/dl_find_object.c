// glibc's _dl_find_object for a static musl program: gcc's unwinder finds the frames of a panic through it.
#define _GNU_SOURCE
#include <link.h>

// glibc's layout on x86_64.
struct found {
    unsigned long long flags;
    void *start, *end;
    struct link_map *map;
    void *eh_frame_header;
};

// A static program is one object, so the first one is the right one.
static int take(struct dl_phdr_info *object, size_t size, void *result) {
    struct found *found = result;
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME) {
            found->eh_frame_header = (void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
            return 1;
        }
    return 0;
}

int _dl_find_object(void *pc, struct found *result) {
    (void)pc;
    return dl_iterate_phdr(take, result) ? 0 : -1;
}
