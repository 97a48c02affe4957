package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// backMemory touches free memory, n bytes of it but at most half of all, and frees it again.
//
// The host of a virtual machine may take free memory back (free page reporting, a balloon); who touches it next
// waits for the host to find a page, which takes many times as long as to fill one, and is charged with it.
// What a run writes goes to the page cache, which is made of what earlier runs have freed: without this, a
// run would be measured by how long ago that was.
func backMemory(n int64) error {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return fmt.Errorf("how much memory is free: %w", err)
	}
	free := int64(info.Freeram) * int64(info.Unit)
	memory, err := unix.Mmap(-1, 0, int(min(n, free/2)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("touch free memory: %w", err)
	}
	return unix.Munmap(memory)
}
