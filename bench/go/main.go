// SPDX-License-Identifier: BSD-2-Clause

// The benchmarks of bench/ in Go, of the same shape. bench/run boots this as /init of a Linux
// guest; by hand, on the host: go run bench/go/*.go NAME...
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync/atomic"
	"syscall"
	"time"
)

const repeats = 5

var benchmarks = []struct {
	name string
	run  func()
}{
	{"create", benchCreate},
	{"unbuffered", benchUnbuffered},
	{"buffered", benchBuffered},
	{"many", benchMany},
	{"select", benchSelect},
	{"yield", benchYield},
	{"mutex", benchMutex},
	{"malloc", benchMalloc},
	{"ring", benchRing},
	{"park", benchPark},
	{"skynet", benchSkynet},
	{"timer", benchTimer},
	{"deadline", benchDeadline},
	{"nap", benchNap},
	{"sleepers", benchSleepers},
	{"sleep", benchSleep},
	{"hog", benchHog},
	{"speedup", benchSpeedup},
}

func result(name string, ns float64) {
	fmt.Printf("result %s %.2f\n", name, ns)
}

func empty(n int) {
	for i := 0; i < n; i++ {
	}
}

func shortest(n int, op func(n int)) time.Duration {
	best := time.Duration(1<<63 - 1)
	for i := 0; i < repeats; i++ {
		start := time.Now()
		op(n)
		took := time.Since(start)
		if took < best {
			best = took
		}
	}
	return best
}

// perOp prints what one of n operations takes in op(n), without the empty loop.
func perOp(name string, n int, op func(n int)) {
	op(n / 10)
	result(name, float64(shortest(n, op)-shortest(n, empty))/float64(n))
}

func resultSpread(name string, times []time.Duration, high string, rank int) {
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	result(name+"-p50", float64(times[len(times)/2]))
	result(name+"-"+high, float64(times[(len(times)-1)*rank/100]))
}

func waitFor(counter *int64, n int64) {
	for atomic.LoadInt64(counter) < n {
		runtime.Gosched()
	}
}

// powerOff ends the Linux guest of which this is the first process.
func powerOff() {
	syscall.Mount("proc", "/proc", "proc", 0, "")
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	fmt.Printf("guest Linux %s", release)
	time.Sleep(50 * time.Millisecond) // the serial port has a buffer
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}

func main() {
	run := 0
	for _, b := range benchmarks {
		for _, name := range os.Args[1:] {
			if name == b.name {
				b.run()
				run++
			}
		}
	}
	if run == 0 {
		fmt.Println("bench: name benchmarks")
	}
	if os.Getpid() == 1 {
		powerOff()
	}
}
