package server

import (
	"net"
	"strconv"
	"testing"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/network"
	"github.com/gregor-mq/gregor/zkutil"
)

// A listener that cannot be opened is not advertised, and the others are.
func TestListenerThatCannotBeOpened(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	static := load(t, "listeners=PLAINTEXT://127.0.0.1:0", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,BAD:PLAINTEXT,GOOD:PLAINTEXT")
	for what, advertise := range map[string]string{
		"what is listened on": "",
		"other addresses":     "PLAINTEXT://a:1,BAD://b:2,GOOD://c:3",
	} {
		t.Run(what, func(t *testing.T) {
			opts, err := networkOptions(t.Context(), static, newRoutes(nil), silent())
			if err != nil {
				t.Fatal(err)
			}
			s := &Server{ctx: t.Context(), registration: claim(t, newChroot(t), 9092, false)}
			if s.network, err = network.New(opts); err != nil {
				t.Fatal(err)
			}
			if err := s.network.Bind(); err != nil {
				t.Fatal(err)
			}
			defer s.network.Shutdown(t.Context())
			if err := s.registration.register(t.Context()); err != nil {
				t.Fatal(err)
			}
			set := map[string]string{"listeners": "PLAINTEXT://127.0.0.1:0,BAD://" + taken.Addr().String() + ",GOOD://127.0.0.1:0"}
			if advertise != "" {
				set["advertised.listeners"] = advertise
			}
			now, err := static.WithDynamic(config.Dynamic{Broker: set})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.changeListeners(static, now); err == nil {
				t.Error("a port in use is not reported")
			}
			data, stat, err := s.registration.zk.Get(t.Context(), zkutil.BrokerPath(1))
			if err != nil {
				t.Fatal(err)
			}
			b, err := zkutil.DecodeBroker(1, data, stat)
			if err != nil {
				t.Fatal(err)
			}
			want := "PLAINTEXT://a:1,GOOD://c:3"
			if advertise == "" {
				want = ""
				for i, e := range s.network.Endpoints() {
					want += []string{"", ","}[min(i, 1)] + e.Listener + "://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(e.Port))
				}
			}
			if got := endpointsText(b.Endpoints); got != want || len(b.Endpoints) != 2 {
				t.Errorf("registered at %s, want %s", got, want)
			}
		})
	}
}
