// SPDX-License-Identifier: BSD-2-Clause

package main

import "time"

const others = 1000

// someDay gives delays in no order.
func someDay(i int) time.Duration {
	return time.Hour + time.Duration(uint32(i)*2654435761)*time.Microsecond
}

func never() {}

func setOthers() []*time.Timer {
	timers := make([]*time.Timer, others)
	for i := range timers {
		timers[i] = time.AfterFunc(someDay(i), never)
	}
	return timers
}

func stopAll(timers []*time.Timer) {
	for _, timer := range timers {
		timer.Stop()
	}
}

func benchTimer() {
	timers := setOthers()
	one := time.AfterFunc(time.Hour, never)
	perOp("timer", 200000, func(n int) {
		for i := 0; i < n; i++ {
			one.Reset(someDay(i))
			one.Stop()
		}
	})
	perOp("timer-anew", 200000, func(n int) {
		for i := 0; i < n; i++ {
			timers[i%others].Reset(someDay(i % others))
		}
	})
	stopAll(timers)
}

// receiveInTime reuses one timer, as programs do that care.
func receiveInTime(n int) {
	items := make(chan int)
	go func() {
		for i := 0; i < n; i++ {
			items <- i
		}
	}()
	timer := time.NewTimer(time.Second)
	for i := 0; i < n; i++ {
		timer.Reset(time.Second)
		select {
		case <-items:
		case <-timer.C:
		}
		if !timer.Stop() {
			<-timer.C
		}
	}
}

func benchDeadline() {
	timers := setOthers()
	perOp("deadline", 100000, receiveInTime)
	stopAll(timers)
}

const naps = 10000

func benchNap() {
	start := cpuTime()
	for i := 0; i < naps; i++ {
		time.Sleep(10 * time.Microsecond)
	}
	result("nap", float64(cpuTime()-start)/naps)
}
