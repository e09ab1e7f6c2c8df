// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

func create(n int) {
	for i := 0; i < n; i++ {
		go func() {}()
		runtime.Gosched()
	}
}

func createMany(n int) {
	var group sync.WaitGroup
	group.Add(n)
	for i := 0; i < n; i++ {
		go group.Done()
	}
	group.Wait()
}

func benchCreate() {
	perOp("create", 100000, create)
	perOp("create-many", 100000, createMany)
}

func yieldAlone(n int) {
	for i := 0; i < n; i++ {
		runtime.Gosched()
	}
}

func yieldTwo(n int) {
	var finished int64
	half := func() {
		yieldAlone(n / 2)
		atomic.AddInt64(&finished, 1)
	}
	go half()
	half()
	waitFor(&finished, 2)
}

func benchYield() {
	perOp("yield", 400000, yieldTwo)
	perOp("yield-alone", 400000, yieldAlone)
}
