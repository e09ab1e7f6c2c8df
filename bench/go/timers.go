// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

const sleepers = 100000

// cpuTime is that of the process; what the kernel does in interrupts is not in it.
func cpuTime() int64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func benchSleepers() {
	var slept int64
	start := cpuTime()
	for i := 0; i < sleepers; i++ {
		go func(ms int) {
			time.Sleep(time.Duration(ms) * time.Millisecond)
			atomic.AddInt64(&slept, 1)
		}(1 + i%100)
	}
	for atomic.LoadInt64(&slept) < sleepers {
		time.Sleep(time.Millisecond)
	}
	result("sleepers", float64(cpuTime()-start))
}

func lateness(count int) []time.Duration {
	late := make([]time.Duration, count)
	for i := range late {
		start := time.Now()
		time.Sleep(time.Millisecond)
		late[i] = time.Since(start) - time.Millisecond
	}
	return late
}

func benchSleep() {
	resultSpread("sleep", lateness(1000), "p99", 99)
}

func benchHog() {
	var enough int32
	procs := runtime.GOMAXPROCS(1)
	go func() {
		for atomic.LoadInt32(&enough) == 0 {
		}
	}()
	late := lateness(50)
	atomic.StoreInt32(&enough, 1)
	runtime.GOMAXPROCS(procs)
	resultSpread("hog", late, "max", 100)
}
