// Package worldtest opens worlds for tests: images, their registry and their Sigstore in memory, and what
// the builtins say of them. No program is made of it.
package worldtest

import (
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/world"
)

// Now is the second after the signatures of worlds.
func Now() time.Time { return time.Date(2026, 6, 1, 12, 0, 1, 0, time.UTC) }

// Open makes the world of a description and closes it with the test.
func Open(t testing.TB, description string) *world.World {
	t.Helper()
	d, err := world.Parse([]byte(description))
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// Client is one of registries of worlds, which are on this machine.
func Client(t testing.TB) *oci.Client {
	t.Helper()
	client, err := oci.New(oci.WithPrivateRegistries())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Roots are those that the signatures of a world are verified with.
func Roots(t testing.TB, w *world.World) trust.Roots {
	t.Helper()
	trusted, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	root, err := trust.Parse(trusted)
	if err != nil {
		t.Fatal(err)
	}
	return trust.Roots{Default: root}
}

// Facts are what a client gets, judged by the root of a world, at the time of this machine unless the
// options say when.
func Facts(t testing.TB, w *world.World, client builtins.Registry, options builtins.Options) *builtins.Facts {
	t.Helper()
	roots := Roots(t, w)
	facts, err := builtins.New(client, func() trust.Roots { return roots }, options)
	if err != nil {
		t.Fatal(err)
	}
	return facts
}
