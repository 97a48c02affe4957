package server

import (
	"context"
	"errors"
	"testing"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/network"
	"github.com/gregor-mq/gregor/zkutil"
)

func TestAdvertised(t *testing.T) {
	const protocols = "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT"
	// bind returns what listening on cfg's listeners would give.
	bind := func(cfg *config.Config) (bound []network.Endpoint) {
		for _, l := range cfg.Listeners() {
			if l.Port == 0 {
				l.Port = map[string]int{"PLAINTEXT": 1111, "OUTSIDE": 2222}[l.Listener]
			}
			bound = append(bound, network.Endpoint{Listener: l.Listener, Host: l.Host, Port: l.Port})
		}
		return bound
	}
	tests := []struct {
		name      string
		overrides []string
		want      string
	}{
		{"default", nil, "PLAINTEXT://this.host:9092"},
		{"as listened", []string{"listeners=PLAINTEXT://127.0.0.1:9000"}, "PLAINTEXT://127.0.0.1:9000"},
		{"the port that it got", []string{"listeners=PLAINTEXT://127.0.0.1:0"}, "PLAINTEXT://127.0.0.1:1111"},
		{"no host", []string{"listeners=PLAINTEXT://:0"}, "PLAINTEXT://this.host:1111"},
		{"no host advertised", []string{"listeners=PLAINTEXT://127.0.0.1:9000", "advertised.listeners=PLAINTEXT://:9000"}, "PLAINTEXT://this.host:9000"},
		{"advertised", []string{"listeners=PLAINTEXT://:9000", "advertised.listeners=PLAINTEXT://example.org:9999"}, "PLAINTEXT://example.org:9999"},
		{"several", []string{protocols, "listeners=PLAINTEXT://127.0.0.1:0,OUTSIDE://:0"}, "PLAINTEXT://127.0.0.1:1111,OUTSIDE://this.host:2222"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := load(t, tt.overrides...)
			list, err := advertised(cfg, bind(cfg), func() (string, error) { return "this.host", nil })
			if got := endpointsText(list); err != nil || got != tt.want {
				t.Errorf("%s, %v; want %s", got, err, tt.want)
			}
		})
	}
	// The socket of a listener stays as it was when its entry is changed.
	cfg := load(t, "listeners=PLAINTEXT://127.0.0.1:9001")
	list, err := advertised(cfg, bind(load(t, "listeners=PLAINTEXT://127.0.0.1:9000")), func() (string, error) { return "", nil })
	if got := endpointsText(list); err != nil || got != "PLAINTEXT://127.0.0.1:9000" {
		t.Errorf("advertised %s, %v", got, err)
	}
	if _, err := advertised(load(t), bind(load(t)), func() (string, error) { return "", errors.New("nameless") }); err == nil {
		t.Error("a broker without a host name advertises itself")
	}
}

func TestHostName(t *testing.T) {
	if name, err := hostName(t.Context()); err != nil || name == "" {
		t.Errorf("%q, %v", name, err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if name, err := hostName(stopped); err != nil || name == "" {
		t.Errorf("without a resolver: %q, %v; want the system's name", name, err)
	}
}

// claim returns a registration of broker 1 at port, in a session of its own.
func claim(t testing.TB, address string, port int32, returning bool) *registration {
	t.Helper()
	r := &registration{zk: connectTo(t, address), logger: silent(), returning: returning}
	r.epoch.Store(-1)
	r.broker = zkutil.Broker{ID: 1, JMXPort: -1, Endpoints: []zkutil.Endpoint{
		{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: port, SecurityProtocol: "PLAINTEXT"},
	}}
	if err := r.zk.EnsurePersistentPaths(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// The session of a process that was killed lasts until it times out; here it is one that lives on.
func TestTakeOver(t *testing.T) {
	tests := []struct {
		name      string
		port      int32 // of the second process; the first has 9092
		returning bool
		taken     bool
	}{
		{"a restart", 9092, true, true},
		{"fresh log directories", 9092, false, false},
		{"another address", 9093, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := newChroot(t)
			first := claim(t, address, 9092, false)
			if err := first.register(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := first.zk.ElectController(t.Context(), 1, 1); err != nil {
				t.Fatal(err)
			}
			second := claim(t, address, tt.port, tt.returning)
			err := second.register(t.Context())
			if tt.taken != (err == nil) || err != nil && !errors.Is(err, zkutil.ErrNodeExists) {
				t.Fatalf("registering: %v; want success: %v", err, tt.taken)
			}
			_, _, seated, readErr := second.zk.Controller(t.Context(), nil)
			if readErr != nil || seated == tt.taken {
				t.Errorf("/controller is there: %v, %v; the registration was taken over: %v", seated, readErr, tt.taken)
			}
			if !tt.taken {
				if got := second.epoch.Load(); got != -1 {
					t.Errorf("epoch %d without a registration", got)
				}
				return
			}
			if second.epoch.Load() <= first.epoch.Load() {
				t.Errorf("epoch %d after %d", second.epoch.Load(), first.epoch.Load())
			}
			// Once registered, a broker never takes over: what stands in its way then is another process.
			if err := first.register(t.Context()); !errors.Is(err, zkutil.ErrNodeExists) {
				t.Errorf("the first process registers again: %v, want ErrNodeExists", err)
			}
		})
	}
}

// A controller of another broker stays in its seat.
func TestTakeOverLeavesOtherControllers(t *testing.T) {
	address := newChroot(t)
	first := claim(t, address, 9092, false)
	if err := first.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := first.zk.ElectController(t.Context(), 2, 1); err != nil {
		t.Fatal(err)
	}
	second := claim(t, address, 9092, true)
	if err := second.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	if node, _, seated, err := second.zk.Controller(t.Context(), nil); err != nil || !seated || node.BrokerID != 2 {
		t.Errorf("controller %+v, there: %v, %v; want broker 2", node, seated, err)
	}
}

// Registering again in the same session keeps the epoch; addresses of other brokers are refused.
func TestRegisterAgain(t *testing.T) {
	address := newChroot(t)
	first := claim(t, address, 9092, false)
	if err := first.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	epoch := first.epoch.Load()
	if err := first.register(t.Context()); err != nil || first.epoch.Load() != epoch {
		t.Errorf("epoch %d, %v; want %d", first.epoch.Load(), err, epoch)
	}
	if err := first.zk.Delete(t.Context(), zkutil.BrokerPath(1), zkutil.AnyVersion); err != nil {
		t.Fatal(err)
	}
	registered := func() bool {
		there, _, err := first.zk.Exists(t.Context(), zkutil.BrokerPath(1))
		return there && err == nil
	}
	if err := first.confirm(t.Context()); err != nil || registered() {
		t.Errorf("confirmed in the same session: %v, registered %v; want nothing done", err, registered())
	}
	first.session.Store(1) // another session than this one
	if err := first.confirm(t.Context()); err != nil || !registered() || first.epoch.Load() <= epoch {
		t.Errorf("confirmed in a later session: %v, registered %v, epoch %d; want a new one after %d", err, registered(), first.epoch.Load(), epoch)
	}
	other := claim(t, address, 9092, false)
	other.broker.ID = 2
	if err := other.register(t.Context()); err == nil {
		t.Error("two brokers advertise one address")
	}
}
