// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"runtime"
	"sync"
	"time"
)

const parked = 100000

func benchPark() {
	var group sync.WaitGroup
	gate := make(chan struct{})
	group.Add(parked)
	start := time.Now()
	for i := 0; i < parked; i++ {
		go func() {
			group.Done()
			<-gate
			group.Done()
		}()
	}
	group.Wait()
	result("park", float64(time.Since(start))/parked)

	time.Sleep(50 * time.Millisecond)
	runtime.GC() // or a collection that creating them began would count as waking
	group.Add(parked)
	start = time.Now()
	close(gate)
	group.Wait()
	result("wake", float64(time.Since(start))/parked)
}
