// SPDX-License-Identifier: BSD-2-Clause

package main

import "sync"

var mutex sync.Mutex

func lockUnlock(n int) {
	for i := 0; i < n; i++ {
		mutex.Lock()
		mutex.Unlock()
	}
}

func benchMutex() {
	perOp("mutex", 2000000, lockUnlock)
}
