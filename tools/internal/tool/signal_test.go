package tool

import (
	"context"
	"errors"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// TestRepeatedSignal: the signal that timeout(1) sends a second time does not keep the command from leaving its group. It
// would end the test.
func TestRepeatedSignal(t *testing.T) {
	runtime.LockOSThread() // which signals itself, so that the signal has come when Tgkill returns
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := OnSignal(cancel, time.Hour) // however slow the test is
	defer stop()
	for range 2 {
		if err := syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
	}
	if exit, ok := errors.AsType[Exit](context.Cause(ctx)); !ok || exit != 143 {
		t.Errorf("ended with %v", context.Cause(ctx))
	}
}
