package server

import (
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// binding is what serves an API. An API of wire's table that is missing here is not
// built: it is neither advertised nor served.
type binding struct {
	handle         func(*request.Request)
	all            func([]*request.Request) // see request.Route.HandleAll
	blocks         bool                     // waits for ZooKeeper or the controller
	holds, follows bool                     // see request.Route
}

// routes is the table of what this broker serves, in the order of the API keys. It implements
// request.Router.
type routes struct {
	list  []request.Route
	byKey [128]*request.Route
}

func newRoutes(bound map[string]binding) *routes {
	t := &routes{}
	for _, api := range wire.APIs() {
		b, built := bound[api.Name]
		if !built {
			continue
		}
		t.list = append(t.list, request.Route{
			Key: api.Key, Name: api.Name, Min: api.Min, Max: api.Max, FlexibleFrom: api.FlexibleFrom,
			Blocks: b.blocks, Holds: b.holds, Follows: b.follows, Handler: request.HandlerFunc(b.handle), HandleAll: b.all,
		})
	}
	for i := range t.list {
		t.byKey[t.list[i].Key] = &t.list[i]
	}
	return t
}

// Route implements request.Router.
func (t *routes) Route(key int16) *request.Route {
	if key < 0 || int(key) >= len(t.byKey) {
		return nil
	}
	return t.byKey[key]
}
