// SPDX-License-Identifier: BSD-2-Clause

package main

import "runtime/debug"

var object *[64]byte

// Go frees nothing by itself: the garbage collection that would is off, and its work is left out.
func allocate(n int) {
	for i := 0; i < n; i++ {
		object = new([64]byte)
	}
}

func benchMalloc() {
	percent := debug.SetGCPercent(-1)
	perOp("malloc", 1000000, allocate)
	debug.SetGCPercent(percent)
}
