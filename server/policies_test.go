package server

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/assay-dev/assay/server/admission"
)

// TestPolicyWebhooks answers about policies that are applied, with the limits, the log and
// the metrics of the other webhooks.
func TestPolicyWebhooks(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.BodyLimit = 1 << 10
	var log *journal
	config.Logger, log = newJournal(t)
	config.PolicyValidate = DeciderFunc(func(context.Context, []byte) (Decision, error) {
		return Decision{Verdict: admission.Verdict{Reasons: []string{"spec.policy.data: does not compile"}}}, nil
	})
	config.PolicyDefault = DeciderFunc(func(context.Context, []byte) (Decision, error) {
		return Decision{Verdict: admission.Verdict{Allowed: true, Patch: []admission.PatchOperation{
			{Op: "add", Path: "/spec/match", Value: []string{}},
		}}}, nil
	})
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	refused := handle(s, "/policies/validate", podReview)
	if got := read(t, refused.Body.String()).Response; got.Allowed || got.Status.Message != "validation failed: spec.policy.data: does not compile" {
		t.Errorf("got %+v, want the reason", got)
	}
	if line := log.wait(t, "decided"); line["webhook"] != "policies/validate" {
		t.Errorf("got webhook %v in the log, want policies/validate", line["webhook"])
	}
	defaulted := handle(s, "/policies/default", podReview)
	patch, err := base64.StdEncoding.DecodeString(read(t, defaulted.Body.String()).Response.Patch)
	if want := `[{"op":"add","path":"/spec/match","value":[]}]`; err != nil || string(patch) != want {
		t.Errorf("got patch %s and %v, want %s", patch, err, want)
	}
	if got := handle(s, "/policies/validate", strings.Repeat(" ", 9<<10)+podReview); got.Code != 413 {
		t.Errorf("over the limit: got %d, want 413", got.Code)
	}
	_, metrics := page(s, "/metrics")
	wantLine(t, metrics, `assay_admission_requests_total{path="policies/validate",result="denied"} 1`)
	wantLine(t, metrics, `assay_admission_requests_total{path="policies/validate",result="bad_request"} 1`)
	wantLine(t, metrics, `assay_admission_requests_total{path="policies/default",result="allowed"} 1`)
	wantLine(t, metrics, `assay_admission_requests_total{path="policies/default",result="error"} 0`)
}

func TestPolicyWebhookThatFailsDenies(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.PolicyValidate = DeciderFunc(func(context.Context, []byte) (Decision, error) { return Decision{}, errors.New("no compiler") })
	config.PolicyDefault = DeciderFunc(func(context.Context, []byte) (Decision, error) { panic("no defaults") })
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/policies/validate": "validation failed: could not decide: no compiler",
		"/policies/default":  "mutation failed: internal error: ",
	} {
		got := read(t, handle(s, path, podReview).Body.String()).Response
		if got.Allowed || got.Patch != "" || !strings.HasPrefix(got.Status.Message, want) {
			t.Errorf("%s: got %+v, want denied with %q", path, got, want)
		}
	}
}

// Without a Decider there is no route, and no series.
func TestPolicyWebhooksAreOptional(t *testing.T) {
	t.Parallel()
	s, err := New(plainConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/policies/validate", "/policies/default", "/policies", "/policies/other"} {
		if got := handle(s, path, podReview); got.Code != 404 {
			t.Errorf("%s: got %d, want 404", path, got.Code)
		}
	}
	if _, metrics := page(s, "/metrics"); strings.Contains(metrics, "policies/") {
		t.Error("got series of webhooks that are not there")
	}
}
