package decisions

import (
	"context"

	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/status"
)

// carrier are metrics that a status has more of.
type carrier struct {
	metrics.Metrics
	key   string
	about func() any
}

// Carry are the metrics of OPA's plugins, with something else beside them in each status that
// OPA's plugin sends, to whichever sink: metrics.PROVIDER.KEY. about must not wait, since OPA
// waits for it; where it has nothing to say, nil, there is no such member.
func Carry(m metrics.Metrics, key string, about func() any) metrics.Metrics {
	if about == nil {
		return m
	}
	return carrier{m, key, about}
}

// All implements [metrics.Metrics]. The status of decision logs has the metrics too, by their
// MarshalJSON, and is no place for it.
func (c carrier) All() map[string]any {
	all := c.Metrics.All()
	if about := c.about(); about != nil {
		all[c.key] = about
	}
	return all
}

// Say has the status of plugins say how we are, as if we were one of them: OPA's plugin sends
// what changed. Whoever calls it may wait as long as OPA's sink takes.
func Say(m *plugins.Manager, name string, wrong bool, message string) {
	state := plugins.StateOK
	if wrong {
		state = plugins.StateErr
	}
	m.UpdatePluginStatus(name, &plugins.Status{State: state, Message: message})
}

// Send has OPA's plugin send the status now, where there is one. It waits as Say does, and for
// ever once the plugin was stopped. It takes no place in the channels in which OPA's plugins tell
// each other of states, which have room for one: a sink that hangs must not hold them up.
func Send(m *plugins.Manager) error {
	if plugin := status.Lookup(m); plugin != nil {
		// A context that ended just then would have OPA's plugin wait for ever for who listens.
		return plugin.Trigger(context.Background())
	}
	return nil
}
