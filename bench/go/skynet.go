// SPDX-License-Identifier: BSD-2-Clause

package main

import "time"

const (
	leavesOfAll = 1000000
	children    = 10
)

func skynet(answers chan int, first, leaves int) {
	if leaves == 1 {
		answers <- first
		return
	}
	mine := make(chan int)
	for i := 0; i < children; i++ {
		go skynet(mine, first+i*(leaves/children), leaves/children)
	}
	sum := 0
	for i := 0; i < children; i++ {
		sum += <-mine
	}
	answers <- sum
}

func benchSkynet() {
	answers := make(chan int)
	start := time.Now()
	go skynet(answers, 0, leavesOfAll)
	sum := <-answers
	took := time.Since(start)
	if sum != leavesOfAll*(leavesOfAll-1)/2 {
		panic("skynet: the sum is wrong")
	}
	result("skynet", float64(took))
}
