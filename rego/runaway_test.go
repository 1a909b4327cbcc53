package rego_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego"
)

// lateReason says of a decision of which only warnings are to be late that more was. The
// word is that of the code, for want of time alone.
func lateReason(d rego.Decision) bool {
	return strings.Contains(strings.Join(d.Reasons, "\n"), "timeout")
}

// TestRunawayPoliciesLeaveTimeToDecide: policies that never end fail, each with
// its cause, and the one beside them is judged within the deadline of all.
func TestRunawayPoliciesLeaveTimeToDecide(t *testing.T) {
	t.Parallel()
	const static = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: %s}\n" +
		"spec:\n  images: [{glob: \"**\"}]\n  authorities: [{static: {action: pass}}]\n"
	documents := fmt.Sprintf(static, "good")
	for i := range 4 {
		documents += "---\n" + fmt.Sprintf(static, fmt.Sprint("runaway-", i)) + `  policy:
    type: rego
    data: |
      package sigstore
      isCompliant { count([1 | n := numbers.range(1, 3000); n[_]; n[_]; n[_]]) == ` + fmt.Sprint(i) + " }\n"
	}
	w := openWorld(t, "images: {app: {}}")
	r := open(t, w, setup{policies: documents})
	d := within(t, r, 3*time.Second, byDigest(t, w, "app"))
	outcomes := map[string]string{}
	for _, p := range d.Images[0].Policies {
		outcomes[p.Name] = p.Outcome
	}
	if d.Allowed || outcomes["good"] != "passed" || len(outcomes) != 5 {
		t.Errorf("got allowed %t and %v, want a denial in which good passed", d.Allowed, outcomes)
	}
	for i := range 4 {
		if want := fmt.Sprintf("failed policy: runaway-%d", i); !strings.Contains(strings.Join(d.Reasons, "\n"), want) {
			t.Errorf("got %q, want %q in it", d.Reasons, want)
		}
	}
}

// TestRunawayPolicyIsTriedOnce: a policy that never ends, and only is to warn, does
// not use up the time of another team's, however many images there are.
func TestRunawayPolicyIsTriedOnce(t *testing.T) {
	t.Parallel()
	const static = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: %s}\n" +
		"spec:\n  mode: %s\n  images: [{glob: \"**\"}]\n  authorities: [{static: {action: pass}}]\n" +
		"  policy:\n    type: rego\n    data: |\n      package sigstore\n      isCompliant { %s }\n"
	w := openWorld(t, "images: {a: {}, b: {}, c: {}, d: {}, e: {}}")
	r := open(t, w, setup{policies: fmt.Sprintf(static, "a-runaway", "warn", "n := numbers.range(1, 3000); count([1 | n[_]; n[_]; n[_]]) == 1") +
		"---\n" + fmt.Sprintf(static, "good", "enforce", "true")})
	var images []string
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		images = append(images, byDigest(t, w, name))
	}
	d := withinOr(t, r, 8*time.Second, lateReason, pod(images...))
	if !d.Allowed || !strings.Contains(strings.Join(d.Warnings, "\n"), "failed policy: a-runaway") {
		t.Errorf("got allowed %t, reasons %q and warnings %q, want an admission with the runaway's warning", d.Allowed, d.Reasons, d.Warnings)
	}
}

// TestRunawayReadsOn is for the race detector: a policy that was left behind goes on
// reading the object under review while the decision does, and after it.
func TestRunawayReadsOn(t *testing.T) {
	t.Parallel()
	const inside = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: %s}\n" +
		"spec:\n  mode: warn\n  images: [{glob: \"**\"}]\n  authorities: [{static: {action: pass}}]\n" +
		"  policy:\n    type: rego\n    includeSpec: true\n    includeObjectMeta: true\n    data: |\n" +
		"      # assay\n      package sigstore\n      isCompliant { %s }\n"
	const reads = "n := numbers.range(1, 3000); count([1 | n[_]; n[_]; input.spec.containers[_].env[_].value; walk(input, [_, _])]) == 1"
	w := openWorld(t, "images: {app: {}}")
	r := open(t, w, setup{policies: fmt.Sprintf(inside, "a", reads) + "---\n" + fmt.Sprintf(inside, "b", reads) +
		"---\n" + fmt.Sprintf(inside, "c", "input.spec.containers[_].env[_].value == \"v\"; input.metadata.labels.a")})
	object := map[string]any{
		"metadata": map[string]any{"labels": map[string]any{"a": "b"}},
		"spec": map[string]any{"containers": []any{map[string]any{
			"name": "c", "image": byDigest(t, w, "app"), "env": []any{map[string]any{"name": "e", "value": "v"}},
		}}},
	}
	d := withinOr(t, r, 4*time.Second, lateReason, review("", "Pod", object))
	// On a machine that is busy the third is late as well.
	if !d.Allowed || len(d.Warnings) < 2 {
		t.Errorf("got %+v, want an admission that warns of two at least", d)
	}
}

// TestManyRunawaysLeaveTimeForOthers: ten policies in Rego that never end, and only are to
// warn, use up the time neither of the one that is asked last nor of the decision.
func TestManyRunawaysLeaveTimeForOthers(t *testing.T) {
	t.Parallel()
	modules := map[string]string{"innocent.rego": strings.Replace(innocent, "policies.innocent", "policies.z", 1)}
	for i := range 10 {
		modules[fmt.Sprintf("%d.rego", i)] = fmt.Sprintf("package policies.runaway%d\n\nmode := \"warn\"\n\n"+
			"deny contains \"x\" if { n := numbers.range(1, 3000); count([1 | n[_]; n[_]; n[_]]) == 1 }\n", i)
	}
	w := openWorld(t, signedApp)
	r := open(t, w, setup{modules: modules})
	d := withinOr(t, r, 8*time.Second, lateReason, pod(byDigest(t, w, "app")))
	if !d.Allowed || len(d.Warnings) != 10 {
		t.Errorf("got allowed %t, reasons %q and warnings %q, want an admission with ten warnings", d.Allowed, d.Reasons, d.Warnings)
	}
}
