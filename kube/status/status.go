// Package status says in the cluster what became of its objects: conditions on policies
// and trust roots, and Events on them and on what was denied.
//
// [Of] makes the status of one object and talks to nobody. [Writer] writes it, for who
// leads. [Denials] makes Events of denials, away from any request: what is too much is
// dropped and counted.
package status

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/assay-dev/assay/kube/watch"
)

// The types of our conditions.
const (
	// Ready says that the object is in force as it is written.
	Ready = "Ready"
	// Compiled says that it could be read and compiled.
	Compiled = "Compiled"
	// KeysResolved says that what it refers to could be read.
	KeysResolved = "KeysResolved"
)

// The reasons of conditions that are not true, and of those that are.
const (
	reasonInForce    = "InForce"
	reasonCompiled   = "Compiled"
	reasonResolved   = "Resolved"
	reasonStale      = "Stale"
	reasonNotLoaded  = "NotLoaded"
	reasonInvalid    = "Invalid"
	reasonUncompiled = "CompileFailed"
	reasonUnresolved = "Unresolved"
)

// mostMessage bounds a message. mostForeign bounds the conditions of others.
const (
	mostMessage = 4096
	mostForeign = 16
)

// Outcome is what became of one object. The zero value is that all is well.
type Outcome struct {
	// NotLoaded is why this version is not among what serves: a change that is refused is
	// refused whole, and this may be no fault of the object.
	NotLoaded string
	// Invalid is why the object cannot be read.
	Invalid string
	// Uncompiled is what of it does not compile, by its path, with the line.
	Uncompiled map[string]string
	// Unresolved is what it refers to and what could not be read, by path.
	Unresolved map[string]string
	// Stale is what it refers to and what serves as it last could be read.
	Stale []string
	// MatchedImages is how many different images it matched of late.
	MatchedImages int64
}

// Judged is an object, and what became of that version of it.
type Judged struct {
	watch.Seen
	Outcome
}

// upstreams are the conditions of policy-controller: they tell of a ConfigMap that nobody
// keeps any longer, and would tell of it for ever.
func upstreams() []string { return []string{"KeysInlined", "PoliciesInlined", "ConfigMapUpdated"} }

type condition struct{ kind, status, reason, message string }

// Of returns the status of an object, and whether it differs from the one that it has.
// Conditions of others stay, but for those of policy-controller.
func Of(j Judged, now time.Time) (status map[string]any, differs bool) {
	before, _ := j.Status["conditions"].([]any)
	var conditions []any
	for _, c := range j.conditions() {
		conditions = append(conditions, c.over(find(before, c.kind), now))
	}
	for _, other := range before {
		kind := text(other, "type")
		ours := slices.Contains([]string{Ready, Compiled, KeysResolved, ""}, kind)
		if ours || slices.Contains(upstreams(), kind) || len(conditions) >= 3+mostForeign {
			continue
		}
		conditions = append(conditions, other)
	}
	status = map[string]any{"observedGeneration": j.Generation, "conditions": conditions}
	if j.MatchedImages > 0 || j.Status["matchedImages"] != nil {
		status["matchedImages"] = j.MatchedImages
	}
	for key, value := range status {
		differs = differs || !reflect.DeepEqual(value, j.Status[key])
	}
	return status, differs
}

// conditions are ours, the one that people look at first.
func (o Outcome) conditions() []condition {
	compiled := condition{Compiled, "True", reasonCompiled, ""}
	resolved := condition{KeysResolved, "True", reasonResolved, ""}
	switch {
	case o.Invalid != "":
		compiled = condition{Compiled, "False", reasonInvalid, o.Invalid}
		resolved = condition{KeysResolved, "Unknown", reasonInvalid, "what cannot be read refers to nothing"}
	case o.NotLoaded != "":
		compiled = condition{Compiled, "False", reasonNotLoaded, "the version before serves, if there is one: " + o.NotLoaded}
	case len(o.Uncompiled) > 0:
		compiled = condition{Compiled, "False", reasonUncompiled, lines(o.Uncompiled)}
	}
	switch {
	case len(o.Unresolved) > 0:
		resolved = condition{KeysResolved, "False", reasonUnresolved, lines(o.Unresolved)}
	case len(o.Stale) > 0:
		resolved = condition{KeysResolved, "False", reasonStale, strings.Join(slices.Sorted(slices.Values(o.Stale)), "\n")}
	}
	ready := condition{Ready, "True", reasonInForce, ""}
	for _, part := range []condition{resolved, compiled} { // what does not compile comes first
		switch {
		case part.reason == reasonStale: // in force, and somebody has to look after it
			ready = condition{Ready, "True", reasonStale, part.message}
		case part.status == "False":
			ready = condition{Ready, "False", part.reason, part.message}
		}
	}
	return []condition{ready, compiled, resolved}
}

// lines are causes by path, in the order of the paths.
func lines(causes map[string]string) string {
	var out []string
	for _, path := range slices.Sorted(maps.Keys(causes)) {
		out = append(out, path+": "+causes[path])
	}
	return strings.Join(out, "\n")
}

// over is the condition as it is written over the one before: the time is that of the last
// change of the status.
func (c condition) over(before any, now time.Time) map[string]any {
	since := now.UTC().Format(time.RFC3339)
	if text(before, "status") == c.status {
		since = cmp.Or(text(before, "lastTransitionTime"), since)
	}
	return map[string]any{
		"type": c.kind, "status": c.status, "reason": c.reason, "message": cut(c.message, mostMessage), "lastTransitionTime": since,
	}
}

func find(conditions []any, kind string) any {
	for _, c := range conditions {
		if text(c, "type") == kind {
			return c
		}
	}
	return nil
}

func text(object any, field string) string {
	fields, _ := object.(map[string]any)
	value, _ := fields[field].(string)
	return value
}

// cut is a text of at most so many bytes.
func cut(text string, most int) string {
	const ellipsis = "…"
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(ellipsis)], "") + ellipsis
}
