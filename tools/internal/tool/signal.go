package tool

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// OneSignal is how long further signals are taken as the one that ends the command: timeout(1) sends two, to the process and to
// its group.
const OneSignal = time.Second

// OnSignal ends the command when it is interrupted, with the exit status that a shell gives to such an end. A signal that comes
// longer after that than one may take ends it at once.
func OnSignal(cancel context.CancelCauseFunc, one time.Duration) (stop func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		select {
		case s := <-signals:
			cancel(Exit(128 + int(s.(syscall.Signal))))
			select {
			case <-time.After(one):
				signal.Stop(signals)
			case <-done:
			}
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-finished
	}
}
