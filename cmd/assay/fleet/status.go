package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/assay-dev/assay/cmd/assay/fleet/standing"
)

const (
	// maxStatus bounds a status: OPA's has a few kilobytes, the metrics of its plugins included.
	maxStatus = 4 << 20
	// mostCounted is what no counter reaches, so that sums of what strangers wrote stay sums.
	mostCounted = 1 << 40
	// mostBundles, mostFailures and mostLosses bound what of them is told of one replica.
	mostBundles  = 1000
	mostFailures = 20
	mostLosses   = 32
)

// update is what of the status of OPA's plugin (UpdateRequestV1) says how a replica is. Members that it does not name
// are of no interest; one of another type makes it a status of another version, of which nothing is believed.
type update struct {
	Labels       map[string]string        `json:"labels"`
	Bundle       *bundleStatus            `json:"bundle"` // of one bundle, as OPA had it before bundles
	Bundles      map[string]*bundleStatus `json:"bundles"`
	Discovery    *bundleStatus            `json:"discovery"`
	DecisionLogs *struct {
		Code    string         `json:"code"`
		Message string         `json:"message"`
		Metrics map[string]any `json:"metrics"`
	} `json:"decision_logs"`
	Plugins map[string]*struct {
		State   string `json:"state"`
		Message string `json:"message"`
	} `json:"plugins"`
	// Metrics are those of OPA's plugins by who provides them, with our own standing among them.
	Metrics json.RawMessage `json:"metrics"`

	said
}

// said is what a status says in the end: the rest of it is let go, of which strangers may have
// written megabytes.
type said struct {
	standing *standing.Standing // nil where it has none
	losses   map[string]int64
	failures []string
	// denies says that the plugin that is our standing is in error, which a bundle is that expired.
	denies string
}

type bundleStatus struct {
	Name           string            `json:"name"`
	ActiveRevision string            `json:"active_revision"`
	Activated      time.Time         `json:"last_successful_activation"`
	Downloaded     time.Time         `json:"last_successful_download"`
	Reached        time.Time         `json:"last_successful_request"`
	Asked          time.Time         `json:"last_request"`
	Code           string            `json:"code"`
	Message        string            `json:"message"`
	Errors         []json.RawMessage `json:"errors"` // texts or objects, as the error is
}

// parseStatus reads a status.
func parseStatus(data []byte) (*update, error) {
	var u update
	if err := json.Unmarshal(data, &u); err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	if len(u.Labels) == 0 && u.Bundle == nil && u.Bundles == nil && u.Discovery == nil && u.Plugins == nil {
		return nil, errors.New("status: got neither labels nor bundles nor plugins, want a status of OPA's")
	}
	if len(u.Bundles) > mostBundles {
		return nil, fmt.Errorf("status: got %d bundles, want at most %d", len(u.Bundles), mostBundles)
	}
	return &u, u.keep()
}

// keep makes of a status what is asked of it, and lets the rest go. An error is that it has no
// standing that can be read, beside all else.
func (u *update) keep() error {
	var all map[string]map[string]json.RawMessage // of another form they are somebody else's
	var err error
	u.losses = map[string]int64{}
	if json.Unmarshal(u.Metrics, &all) == nil {
		for _, provider := range slices.Sorted(maps.Keys(all)) {
			if text, has := all[provider][standing.Key]; has && u.standing == nil && err == nil {
				u.standing, err = standing.Read(text)
			}
			for name, text := range all[provider] {
				var value any
				if json.Unmarshal(text, &value) == nil {
					u.lost(name, value)
				}
			}
		}
	}
	if u.DecisionLogs != nil {
		for name, value := range u.DecisionLogs.Metrics {
			u.lost(name, value)
		}
	}
	if u.standing != nil {
		maps.Copy(u.losses, u.standing.Lost())
	}
	u.failures = u.wrong()
	for _, b := range u.bundles() {
		b.Message, b.Errors = b.failure(), nil
		b.Code, b.Name, b.ActiveRevision = "", brief(b.Name), brief(b.ActiveRevision)
	}
	if d := u.Discovery; d != nil {
		d.Name, d.ActiveRevision, d.Code, d.Message, d.Errors = "", "", "", "", nil
	}
	u.Labels, u.Metrics, u.DecisionLogs, u.Plugins = nil, nil, nil, nil
	return err
}

// bundles are those that the status tells of, by name.
func (u *update) bundles() map[string]*bundleStatus {
	out := map[string]*bundleStatus{}
	for name, b := range u.Bundles {
		if b != nil {
			out[name] = b
		}
	}
	if u.Bundle != nil && len(out) == 0 {
		out[u.Bundle.Name] = u.Bundle
	}
	return out
}

// newest is the latest past time that the status speaks of: it is no older.
func (u *update) newest(now time.Time) time.Time {
	var out time.Time
	all := slices.Collect(maps.Values(u.bundles()))
	if u.Discovery != nil {
		all = append(all, u.Discovery)
	}
	for _, b := range all {
		for _, at := range []time.Time{b.Activated, b.Downloaded, b.Reached, b.Asked} {
			out = later(out, past(now, at))
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// failure is what is wrong with a bundle, "" for nothing.
func (b *bundleStatus) failure() string {
	if b.Code == "" && b.Message == "" && len(b.Errors) == 0 {
		return ""
	}
	parts := []string{strings.TrimPrefix(b.Code+": "+b.Message, ": ")}
	for _, one := range b.Errors[:min(len(b.Errors), 3)] {
		var as struct {
			Message string `json:"message"`
		}
		text := string(one)
		if json.Unmarshal(one, &as) == nil && as.Message != "" {
			text = as.Message
		}
		parts = append(parts, text)
	}
	return brief(strings.Join(parts, "; "))
}

// wrong is what is wrong with a replica beside its bundles.
func (u *update) wrong() []string {
	var out []string
	if u.Discovery != nil && u.Discovery.failure() != "" {
		out = append(out, brief("discovery: "+u.Discovery.failure()))
	}
	if logs := u.DecisionLogs; logs != nil && (logs.Code != "" || logs.Message != "") {
		out = append(out, brief("decision logs: "+logs.Code+": "+logs.Message))
	}
	for _, name := range slices.Sorted(maps.Keys(u.Plugins)) {
		// NOT_READY alone is a plugin that is off, or a bundle that did not come: which its own status tells.
		p := u.Plugins[name]
		switch {
		case p == nil || p.State != "ERROR":
		case name == standing.Key:
			u.denies = brief("plugin " + name + ": " + p.State + ": " + p.Message)
		default:
			out = append(out, brief("plugin "+name+": "+p.State+": "+p.Message))
		}
	}
	if len(out) > mostFailures {
		out = append(out[:mostFailures], fmt.Sprintf("%d failures more", len(out)-mostFailures))
	}
	return out
}

// lost notes a counter of what OPA's plugin for decision logs lost, of which a status may have two.
func (u *update) lost(name string, value any) {
	counter, ok := strings.CutPrefix(name, "counter_decision_logs_")
	count, number := value.(float64)
	if !ok || !number || !(count > 0) || !strings.HasPrefix(counter, "dropped") && counter != "encoding_failure" {
		return
	}
	if counter = brief(counter); len(u.losses) < mostLosses || u.losses[counter] > 0 {
		u.losses[counter] = max(u.losses[counter], int64(min(count, mostCounted)))
	}
}

// mostText bounds a text of others in a report.
const mostText = standing.MostText

// brief is the beginning of a text, as valid UTF-8.
func brief(text string) string { return standing.Brief(text) }
