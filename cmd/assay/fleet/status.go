package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// maxStatus bounds a status: OPA's has a few kilobytes, the metrics of its plugins included.
	maxStatus = 4 << 20
	// mostCounted is what no counter reaches, so that sums of what strangers wrote stay sums.
	mostCounted = 1 << 40
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
	return &u, nil
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
	parts := []string{b.Code + ": " + b.Message}
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

// failures are what is wrong with a replica beside its bundles.
func (u *update) failures() []string {
	var out []string
	if u.Discovery != nil && u.Discovery.failure() != "" {
		out = append(out, "discovery: "+u.Discovery.failure())
	}
	if logs := u.DecisionLogs; logs != nil && (logs.Code != "" || logs.Message != "") {
		out = append(out, brief("decision logs: "+logs.Code+": "+logs.Message))
	}
	for _, name := range slices.Sorted(maps.Keys(u.Plugins)) {
		// NOT_READY alone is a plugin that is off, or a bundle that did not come: which its own status tells.
		if p := u.Plugins[name]; p != nil && p.State == "ERROR" {
			out = append(out, brief("plugin "+name+": "+p.State+": "+p.Message))
		}
	}
	return out
}

// losses are what OPA's plugin for decision logs says that it lost, by the names of its counters.
func (u *update) losses() map[string]int64 {
	out := map[string]int64{}
	if u.DecisionLogs == nil {
		return out
	}
	for name, value := range u.DecisionLogs.Metrics {
		counter, ok := strings.CutPrefix(name, "counter_decision_logs_")
		count, number := value.(float64)
		if ok && number && count > 0 && (strings.HasPrefix(counter, "dropped") || counter == "encoding_failure") {
			out[counter] = int64(min(count, mostCounted))
		}
	}
	return out
}

// mostText bounds a text of others in a report.
const mostText = 400

// brief is the beginning of a text, as valid UTF-8.
func brief(text string) string {
	if len(text) > mostText {
		text = strings.ToValidUTF8(text[:mostText], "") + "..."
	}
	return text
}
