package purl_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/predicate/bounded"
	"github.com/assay-dev/assay/predicate/purl"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       purl.PURL
	}{
		{"all parts", "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie#src/a", purl.PURL{
			Type: "deb", Namespace: "debian", Name: "curl", Version: "7.50.3-1", Subpath: "src/a",
			Qualifiers: map[string]string{"arch": "i386", "distro": "jessie"}, Canonical: "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie#src/a",
		}},
		{"a scope that is encoded", "pkg:npm/%40angular/core@16.0.0", purl.PURL{
			Type: "npm", Namespace: "@angular", Name: "core", Version: "16.0.0", Qualifiers: map[string]string{}, Canonical: "pkg:npm/%40angular/core@16.0.0",
		}},
		{"capitals that mean nothing", "PKG:PyPI/Django_Rest@1", purl.PURL{
			Type: "pypi", Name: "django-rest", Version: "1", Qualifiers: map[string]string{}, Canonical: "pkg:pypi/django-rest@1",
		}},
		{"an image", "pkg:oci/app@sha256%3Aabc?repository_url=ghcr.io/acme/app", purl.PURL{
			Type: "oci", Name: "app", Version: "sha256:abc", Qualifiers: map[string]string{"repository_url": "ghcr.io/acme/app"},
			Canonical: "pkg:oci/app@sha256:abc?repository_url=ghcr.io%2Facme%2Fapp",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := purl.Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, code, want string }{
		{"nothing", "", "malformed", `got "", want a package URL`},
		{"another scheme", "https://example.com/a", "malformed", "want a package URL as in pkg:TYPE/NAME@VERSION"},
		{"no name", "pkg:npm", "malformed", "name"},
		{"no type", "pkg:/a", "malformed", "type"},
		{"an escape that is none", "pkg:npm/a@%zz", "malformed", "invalid URL escape"},
		{"a qualifier without a key", "pkg:npm/a?=b", "malformed", "qualifier"},
		{"a namespace that is missing", "pkg:swift/a@1", "malformed", "namespace is required"},
		{"a subpath that climbs", "pkg:npm/a@1#x/../y", "malformed", "subpath"},
		{"very long", "pkg:npm/" + strings.Repeat("a", purl.MaxLength), "too_large", "got a package URL of 4104 bytes, want at most 4096"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := purl.Parse(tt.text)
			var refusal *bounded.Error
			if !errors.As(err, &refusal) || string(refusal.Code) != tt.code || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s: …%s…", err, tt.code, tt.want)
			}
			if diff := cmp.Diff(purl.PURL{}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, covers, other string
		want                bool
	}{
		{"itself", "pkg:apk/alpine/a@1?arch=x", "pkg:apk/alpine/a@1?arch=x", true},
		{"every version where it has none", "pkg:apk/alpine/a", "pkg:apk/alpine/a@1?arch=x", true},
		{"qualifiers that it lacks", "pkg:apk/alpine/a@1", "pkg:apk/alpine/a@1?arch=x", true},
		{"not another version", "pkg:apk/alpine/a@1", "pkg:apk/alpine/a@2", false},
		{"not what has no version, where it has one", "pkg:apk/alpine/a@1", "pkg:apk/alpine/a", false},
		{"not a version that begins the same", "pkg:apk/alpine/a@1", "pkg:apk/alpine/a@1.1", false},
		{"not another qualifier", "pkg:apk/alpine/a@1?arch=x", "pkg:apk/alpine/a@1?arch=y", false},
		{"not what lacks its qualifier", "pkg:apk/alpine/a@1?arch=x", "pkg:apk/alpine/a@1", false},
		{"not another subpath", "pkg:golang/a/b@1#x", "pkg:golang/a/b@1#y", false},
		{"not another type", "pkg:apk/alpine/a", "pkg:deb/alpine/a", false},
		{"not another namespace", "pkg:apk/alpine/a", "pkg:apk/wolfi/a", false},
		{"not another name", "pkg:apk/alpine/a", "pkg:apk/alpine/ab", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := purl.Parse(tt.covers)
			if err != nil {
				t.Fatal(err)
			}
			b, err := purl.Parse(tt.other)
			if err != nil {
				t.Fatal(err)
			}
			if got := a.Covers(b); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// The canonical form is one: it reads as itself.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"pkg:npm/%40a/b@1?x=y#z", "PKG:pypi/A_b", "pkg:oci/a@sha256:b", "pkg:a/b@%2F", "pkg:mlflow/a@1?repository_url=b", "pkg:a/%2e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := purl.Parse(text)
		if err != nil {
			return
		}
		if first.Type == "" || first.Name == "" {
			t.Fatalf("got %+v, want a type and a name", first)
		}
		if !first.Covers(first) {
			t.Fatalf("got %+v, want it to cover itself", first)
		}
		if len(first.Canonical) > purl.MaxLength {
			return // what is escaped is longer
		}
		second, err := purl.Parse(first.Canonical)
		if err != nil {
			t.Fatalf("%q: %v", first.Canonical, err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatal(diff)
		}
	})
}
