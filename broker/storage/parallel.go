package storage

import (
	"sync"
	"sync/atomic"
)

// inParallel calls f with every item, on threads goroutines.
func inParallel[T any](threads int, items []T, f func(T)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(threads, len(items)) {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(len(items)) {
					return
				}
				f(items[i])
			}
		})
	}
	wg.Wait()
}

// eachInParallel calls f with every item, on threads goroutines, and returns one of the errors.
func eachInParallel[T any](threads int, items []T, f func(T) error) error {
	var first atomic.Pointer[error]
	inParallel(threads, items, func(item T) {
		if err := f(item); err != nil {
			first.CompareAndSwap(nil, &err)
		}
	})
	if p := first.Load(); p != nil {
		return *p
	}
	return nil
}
