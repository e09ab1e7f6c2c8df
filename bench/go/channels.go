// SPDX-License-Identifier: BSD-2-Clause

package main

import "sync/atomic"

func roundTrips(n int) {
	there, back := make(chan int), make(chan int)
	go func() {
		for value := range there {
			back <- value
		}
	}()
	for i := 0; i < n; i++ {
		there <- i
		<-back
	}
	close(there)
}

func benchUnbuffered() {
	perOp("unbuffered", 100000, roundTrips)
}

var finished int64

func sendItems(items chan int, n int) {
	for i := 0; i < n; i++ {
		items <- i
	}
	atomic.AddInt64(&finished, 1)
}

func receiveItems(items chan int, n int) {
	for i := 0; i < n; i++ {
		<-items
	}
	atomic.AddInt64(&finished, 1)
}

func buffered(n int) {
	items := make(chan int, 128)
	finished = 0
	go sendItems(items, n)
	receiveItems(items, n)
	waitFor(&finished, 2)
}

func benchBuffered() {
	perOp("buffered", 400000, buffered)
}

func eightToEight(n int) {
	items := make(chan int, 64)
	finished = 0
	for i := 0; i < 8; i++ {
		go sendItems(items, n/8)
		go receiveItems(items, n/8)
	}
	waitFor(&finished, 16)
}

func benchMany() {
	perOp("many", 400000, eightToEight)
}

func selects(n int) {
	var four [4]chan int
	for i := range four {
		four[i] = make(chan int)
	}
	go func() {
		for i := 0; i < n; i++ {
			four[i%4] <- i
		}
	}()
	a, b, c, d := four[0], four[1], four[2], four[3]
	for i := 0; i < n; i++ {
		select {
		case <-a:
		case <-b:
		case <-c:
		case <-d:
		}
	}
}

func benchSelect() {
	perOp("select", 100000, selects)
}

const ringSize = 1000

func passOn(from, to chan int) {
	for lap := range from {
		to <- lap
	}
	close(to)
}

func hops(n int) {
	var ring [ringSize + 1]chan int
	for i := range ring {
		ring[i] = make(chan int)
	}
	for i := 0; i < ringSize; i++ {
		go passOn(ring[i], ring[i+1])
	}
	for lap := 0; lap < n/ringSize; lap++ {
		ring[0] <- lap
		<-ring[ringSize]
	}
	close(ring[0])
	<-ring[ringSize]
}

func benchRing() {
	perOp("ring", 200*ringSize, hops)
}
