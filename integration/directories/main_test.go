package directories

import (
	"context"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
)

func TestMain(m *testing.M) { cluster.Main(m) }

// patience is how long anything may take.
const patience = time.Minute

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
