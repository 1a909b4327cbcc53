package tenant_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
)

// changing gives other credentials each time, and never at once.
type changing struct{ times int }

func (*changing) AtHand(tenant.Asker) (oci.Credentials, bool, error) {
	return oci.Credentials{}, false, nil
}

func (c *changing) Find(ctx context.Context, asker tenant.Asker) (oci.Credentials, error) {
	if ctx.Err() != nil {
		return oci.Credentials{}, ctx.Err()
	}
	c.times++
	if asker.Named != nil && asker.Named[0] == "broken" {
		return oci.Credentials{ID: "broken"}, errors.New("broken")
	}
	return oci.Credentials{ID: string(rune('a' + c.times))}, nil
}

// TestTheFirstAnswerStays: a decision does not see that a Secret changes.
func TestTheFirstAnswerStays(t *testing.T) {
	t.Parallel()
	var told []string
	source := &changing{}
	desk := tenant.NewDesk(source, tenant.Workload{Path: "spec"}, oci.Credentials{ID: "behind"}, func(asker tenant.Asker, found oci.Credentials, err error) {
		told = append(told, found.ID)
		if (err != nil) != (asker.Named != nil && asker.Named[0] == "broken") {
			t.Errorf("got told of %v about %q", err, asker.Named)
		}
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := desk.Find(ended, nil); !errors.Is(err, context.Canceled) || desk.Own() != "" {
		t.Errorf("got %v, want the end of the context, and nothing kept", err)
	}
	if _, ok, _ := desk.AtHand(nil); ok {
		t.Error("got credentials at hand before anybody asked")
	}
	for range 3 {
		own, err := desk.Find(t.Context(), nil)
		if err != nil || own.ID != "b" || desk.Own() != "b" {
			t.Errorf("got %q and %v, want the first answer", own.ID, err)
		}
		named, err := desk.Find(t.Context(), []string{"x"})
		if err != nil || named.ID != "c" {
			t.Errorf("got %q and %v, want the first answer", named.ID, err)
		}
		if broken, err := desk.Find(t.Context(), []string{"broken"}); err == nil || broken.ID != "" {
			t.Errorf("got %q and %v, want the failure alone", broken.ID, err)
		}
	}
	if known, ok, err := desk.AtHand(nil); !ok || err != nil || known.ID != "b" {
		t.Errorf("got %q, %t and %v, want the first answer at hand", known.ID, ok, err)
	}
	if diff := cmp.Diff([]string{"b", "c", ""}, told); diff != "" || source.times != 3 {
		t.Errorf("got %d lookups, told (-want +got):\n%s", source.times, diff)
	}
}

// TestPanics are refusals, wherever they are.
func TestPanics(t *testing.T) {
	t.Parallel()
	source := tenant.Given(func(tenant.Asker) (oci.Credentials, error) { panic("here") })
	desk := tenant.NewDesk(source, tenant.Workload{}, oci.Credentials{ID: "behind"}, func(tenant.Asker, oci.Credentials, error) {})
	if got, ok, err := desk.AtHand(nil); ok || err != nil || got.ID != "" {
		t.Errorf("got %q, %t and %v, want nothing at hand", got.ID, ok, err)
	}
	if got, err := desk.Find(t.Context(), nil); err == nil || got.ID != "" {
		t.Errorf("got %q and %v, want an error alone", got.ID, err)
	}
}

func TestGiven(t *testing.T) {
	t.Parallel()
	behind := oci.Credentials{ID: "behind"}
	secrets := tenant.Named(func(namespace string, names []string) (oci.Credentials, error) {
		return oci.Credentials{ID: namespace + "/" + names[0]}, nil
	})
	for _, tt := range []struct {
		name   string
		source tenant.Given
		named  []string
		want   string
	}{
		{"without Secrets a workload has the installation's", nil, nil, "behind"},
		{"without Secrets those that are named are anonymous", nil, []string{"a"}, ""},
		{"with Secrets a workload has the installation's", secrets, nil, "behind"},
		{"with Secrets those that are named are theirs alone", secrets, []string{"a"}, "shop/a"},
	} {
		desk := tenant.NewDesk(tt.source, tenant.Workload{Namespace: "shop"}, behind, func(tenant.Asker, oci.Credentials, error) {})
		got, ok, err := desk.AtHand(tt.named)
		if found, again := desk.Find(t.Context(), tt.named); got.ID != tt.want || !ok || err != nil || again != nil || found.ID != got.ID {
			t.Errorf("%s: got %q, %t and %v, want %q", tt.name, got.ID, ok, err, tt.want)
		}
	}
}
