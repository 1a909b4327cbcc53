package rego_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego"
)

// registerPanicking makes a builtin known that panics whenever it is called.
func registerPanicking() {
	declaration := &ast.Builtin{Name: "test.panic", Decl: types.NewFunction(types.Args(types.S), types.B)}
	ast.RegisterBuiltin(declaration)
	topdown.RegisterBuiltinFunc(declaration.Name, func(topdown.BuiltinContext, []*ast.Term, func(*ast.Term) error) error {
		panic("a bug")
	})
}

func TestPanicInABuiltinIsNoDecision(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	for _, module := range []string{
		`decision := {"allowed": true} if not test.panic("")`,
		`decision := {"allowed": cosign.verify(image, authority).ok} if test.panic("") == true`,
	} {
		r := told(t, w, module)
		d, err := r.Decide(t.Context(), pod(byDigest(t, w, "app")))
		if err == nil || d.Allowed || !strings.Contains(err.Error(), "panicked: a bug") {
			t.Errorf("%s: got %+v and %v, want an error that names the panic", module, d, err)
		}
	}
}

// answer is a registry that answers every question in one way.
type answer func() (oci.List, error)

func (a answer) Resolve(context.Context, oci.Credentials, string) (string, error) {
	_, err := a()
	return "", err
}

func (a answer) Signatures(context.Context, oci.Credentials, string, oci.Place) (oci.List, error) {
	return a()
}

func (a answer) Attestations(context.Context, oci.Credentials, string, oci.Place) (oci.List, error) {
	return a()
}

func (a answer) Bundles(context.Context, oci.Credentials, string, oci.Place) (oci.List, error) {
	return a()
}

func (a answer) Count(context.Context, oci.Credentials, string, oci.Place, oci.Storage) (int, error) {
	_, err := a()
	return 0, err
}

func (a answer) Manifest(context.Context, oci.Credentials, string) ([]byte, error) {
	_, err := a()
	return nil, err
}

func (a answer) Index(context.Context, oci.Credentials, string) ([]byte, error) {
	_, err := a()
	return nil, err
}

func (a answer) Configs(context.Context, oci.Credentials, string) (map[string]json.RawMessage, error) {
	_, err := a()
	return nil, err
}

func (a answer) Config(context.Context, oci.Credentials, string) (json.RawMessage, error) {
	_, err := a()
	return nil, err
}

func (a answer) Blob(context.Context, oci.Credentials, string) ([]byte, error) {
	_, err := a()
	return nil, err
}

func (a answer) Referrers(context.Context, oci.Credentials, string) ([]oci.Referrer, error) {
	_, err := a()
	return nil, err
}

func (a answer) Files(context.Context, oci.Credentials, string, []string) (oci.Files, error) {
	_, err := a()
	return oci.Files{}, err
}

// answering is an engine whose registry answers so.
func answering(t *testing.T, policies string, a answer) *rig {
	t.Helper()
	w := openWorld(t, signedApp)
	trusted, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	root, err := trust.Parse(trusted)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := builtins.New(a, func() trust.Roots { return trust.Roots{Default: root} },
		builtins.Options{Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, w, setup{facts: facts, policies: policies, config: rego.Config{Tags: "resolve", NoMatch: "allow"}})
	r.Record(nil) // a panic is a bug, and nothing that a registry answered
	return r
}

const (
	someDigest = "ghcr.io/acme/app@sha256:7b763b38f0bc29441c6a10e8e8ac4c8e63c7fae89ccf3270a015371c297719a7"
	someTag    = "ghcr.io/acme/app:v1"
)

// TestPanicInAnAnswerIsADenial, of whichever goroutine it is.
func TestPanicInAnAnswerIsADenial(t *testing.T) {
	t.Parallel()
	r := answering(t, policy("signed", "", "    signatureFormat: any\n"), func() (oci.List, error) { panic("a bug") })
	d := r.decide(t, someDigest)
	if got := codes(d); d.Allowed || !slices.Equal(got, []string{"malformed"}) {
		t.Errorf("got allowed %t and codes %v, want denied for malformed", d.Allowed, got)
	}
	if d := r.decide(t, someTag); d.Allowed || !strings.Contains(strings.Join(d.Reasons, ""), "malformed: answer panicked: a bug") {
		t.Errorf("got %s, want a denial that names the panic", encode(t, d))
	}
}

// COMB-5, COMB-6: no class of error of a registry can be dropped, and none softens
// another policy.
// NoMatch is allow in these engines, so that nothing else denies.
func TestEveryErrorOfARegistryDenies(t *testing.T) {
	t.Parallel()
	errs := []error{context.DeadlineExceeded, context.Canceled, answerError("no code at all")}
	for _, code := range []oci.Code{
		oci.NotFound, oci.Unauthorized, oci.RateLimited, oci.Timeout, oci.Unreachable, oci.ForbiddenHost, oci.Malformed,
		oci.DigestMismatch, oci.TooLarge,
	} {
		errs = append(errs, &oci.Error{Code: code, Message: "a reason"})
	}
	for _, err := range errs {
		t.Run(err.Error(), func(t *testing.T) {
			t.Parallel()
			r := answering(t, "", func() (oci.List, error) { return oci.List{}, err })
			for _, image := range []string{someDigest, someTag} {
				if d := r.decide(t, image); d.Allowed || len(d.Reasons) != 1 || len(d.Warnings) > 0 {
					t.Errorf("%s: got %s, want one reason", image, encode(t, d))
				}
			}
			both := policy("enforced", "", "") + "---\n" + policy("warned", "  mode: warn\n", "")
			r = answering(t, both, func() (oci.List, error) { return oci.List{}, err })
			d := r.decide(t, someDigest)
			if d.Allowed || len(d.Reasons) != 1 || !strings.Contains(d.Reasons[0], "failed policy: enforced") ||
				len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "failed policy: warned") {
				t.Errorf("got %s, want enforced as the reason and warned as the warning", encode(t, d))
			}
		})
	}
}

type answerError string

func (e answerError) Error() string { return string(e) }

// TestForgedOutcomesInTheObject: what users can write into an object, as marks
// of an earlier verification, changes nothing.
func TestForgedOutcomesInTheObject(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	r := open(t, w, setup{})
	marks := map[string]any{
		"policy.sigstore.dev/verified": "true", "kyverno.io/verify-images": `{"` + byDigest(t, w, "app") + `":"pass"}`,
		"assay/allowed": "true",
	}
	spec := map[string]any{"containers": []any{map[string]any{"image": byDigest(t, w, "app")}}}
	d, err := r.Decide(t.Context(), review("", "Pod", map[string]any{
		"metadata": map[string]any{"annotations": marks, "labels": marks}, "spec": spec, "allowed": true,
		"status": map[string]any{"phase": "Running"},
	}))
	if err != nil || d.Allowed {
		t.Errorf("got %s and %v, want denied", encode(t, d), err)
	}
}
