package bundled

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/fresh"
	"github.com/assay-dev/assay/rego/raw"
)

// A discovery bundle chooses all other bundles. It is held to what these are held to: it does not
// go backwards, it ends when it says so, and its Rego, which OPA evaluates, asks nobody.

// discovered refuses a discovery bundle before OPA evaluates it.
func (b *Bundles) discovered(of archive.Discovery) error {
	// The labels of a replica, which a configuration may depend on, are in what opa.runtime says.
	off := slices.DeleteFunc(raw.Off(), func(name string) bool { return name == "opa.runtime" })
	errs := []error{raw.CheckAll(of.Modules, nil, true, off), of.About.As(configured.DiscoveryName)}
	if b.ordered(configured.DiscoveryName) {
		if err := b.raised(); err != nil {
			return err
		}
		errs = append(errs, b.floors.Check(configured.DiscoveryName, of.Revision, b.flags.Minimum[configured.DiscoveryName], of.Set))
	}
	errs = append(errs, fresh.Expired(of.About.Expires, time.Now()))
	return errors.Join(errs...)
}

// applied notes the discovery bundle whose configuration is in force. What cannot be kept of it is
// tried again, and no other is taken before that: a restart, or this process, would take an older one.
func (b *Bundles) applied(of archive.Discovery) {
	err := b.raiseDiscovery(of)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.found, b.unraised = of.About, nil
	if err != nil {
		b.unraised = &of
		b.log.Error("the revision of the discovery bundle is not kept, no other is taken before it is", "error", err)
	}
}

// raised says whether the revision that is in force is kept, after one more try.
func (b *Bundles) raised() error {
	b.mu.Lock()
	of := b.unraised
	b.mu.Unlock()
	if of == nil {
		return nil
	}
	if err := b.raiseDiscovery(*of); err != nil {
		return fmt.Errorf("the revision that is in force is not kept: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unraised = nil
	return nil
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
