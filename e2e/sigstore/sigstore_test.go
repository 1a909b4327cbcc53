package sigstore_test

import (
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/assay-dev/assay/e2e/sigstore"
	"github.com/assay-dev/assay/rego/cip"
)

// Stories show that what it signs is believed. This is for what clients and policies are given.
func TestTrustHasOneOfEach(t *testing.T) {
	t.Parallel()
	s := sigstore.Start(t)
	encoded, err := s.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := root.NewTrustedRootFromJSON(encoded)
	if err != nil {
		t.Fatal(err)
	}
	got := [3]int{len(trusted.FulcioCertificateAuthorities()), len(trusted.RekorLogs()), len(trusted.TimestampingAuthorities())}
	if want := [3]int{1, 1, 1}; got != want {
		t.Errorf("got %v authorities, logs and timestamp authorities, want %v", got, want)
	}
	resource, err := s.TrustRoot("sigstore")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := s.StrangeTrustRoot("sigstore")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"TrustRoot": resource, "StrangeTrustRoot": stranger} {
		if _, err := cip.Parse(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if string(resource) == string(stranger) {
		t.Error("StrangeTrustRoot: got what TrustRoot gives, want another timestamp authority")
	}
}
