package bundled

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/dataapi"
	"github.com/assay-dev/assay/rego/bundle/fresh"
	"github.com/assay-dev/assay/rego/raw"
)

// A discovery bundle chooses all other bundles. It is held to what these are held to: it does not
// go backwards, it ends when it says so, and its Rego, which OPA evaluates, asks nobody.

// discovered refuses a discovery bundle before OPA evaluates it.
func (b *Bundles) discovered(of archive.Discovery) error {
	// The labels of a replica, which a configuration may depend on, are in what opa.runtime says.
	off := slices.DeleteFunc(raw.Off(), func(name string) bool { return name == "opa.runtime" })
	errs := []error{dataapi.Check(of.Modules, true, off), of.About.As(configured.DiscoveryName)}
	if b.ordered(configured.DiscoveryName) {
		errs = append(errs, b.floors.Check(configured.DiscoveryName, of.Revision, b.flags.Minimum[configured.DiscoveryName], of.Set))
	}
	errs = append(errs, fresh.Expired(of.About.Expires, time.Now()))
	return errors.Join(errs...)
}

// applied notes the discovery bundle whose configuration is in force.
func (b *Bundles) applied(of archive.Discovery) {
	b.mu.Lock()
	b.found = of.About
	b.mu.Unlock()
	if err := b.raiseDiscovery(of); err != nil {
		b.log.Error("a restart may take an older discovery bundle", "error", err)
	}
}

func (b *Bundles) raiseDiscovery(of archive.Discovery) error {
	if !b.ordered(configured.DiscoveryName) {
		return nil
	}
	if err := os.MkdirAll(b.own, 0o700); err != nil {
		return err
	}
	if err := b.floors.Raise(configured.DiscoveryName, of.Revision, of.Set); err != nil {
		return fmt.Errorf("%s: %w", configured.DiscoveryName, err)
	}
	return nil
}
