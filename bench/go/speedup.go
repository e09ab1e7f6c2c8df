// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	workers = 64
	rounds  = 1500000
)

func timeWith(procs int) time.Duration {
	var done int64
	runtime.GOMAXPROCS(procs)
	start := time.Now()
	for i := 0; i < workers; i++ {
		go func(x uint64) {
			for i := 0; i < rounds; i++ {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
			}
			if x != 0 {
				atomic.AddInt64(&done, 1)
			}
		}(uint64(i) + 1)
	}
	for atomic.LoadInt64(&done) < workers {
		time.Sleep(time.Millisecond)
	}
	return time.Since(start)
}

func benchSpeedup() {
	if runtime.NumCPU() < 2 {
		return
	}
	one, two := time.Duration(1<<62), time.Duration(1<<62)
	for i := 0; i < 3; i++ {
		if took := timeWith(1); took < one {
			one = took
		}
		if took := timeWith(2); took < two {
			two = took
		}
	}
	result("speedup", float64(one)/float64(two))
}
