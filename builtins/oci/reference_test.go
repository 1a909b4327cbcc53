package oci_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
)

// MUT-2, GLOB-4: the full name, which a pinned tag keeps and globs are compared with.
func TestParse(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("ab", 32)
	digest := "sha256:" + hex
	hub, ghcr := "index.docker.io", "ghcr.io"
	for ref, want := range map[string]oci.Reference{
		"nginx":                          {hub, "library/nginx", "latest", "", hub + "/library/nginx:latest"},
		"nginx:1.29":                     {hub, "library/nginx", "1.29", "", hub + "/library/nginx:1.29"},
		"nginx@" + digest:                {hub, "library/nginx", "", digest, hub + "/library/nginx@" + digest},
		"docker.io/nginx":                {hub, "library/nginx", "latest", "", hub + "/library/nginx:latest"},
		"Docker.IO/nginx":                {hub, "library/nginx", "latest", "", hub + "/library/nginx:latest"},
		"org/app":                        {hub, "org/app", "latest", "", hub + "/org/app:latest"},
		"ghcr.io/org/app:v1":             {ghcr, "org/app", "v1", "", "ghcr.io/org/app:v1"},
		"GHCR.io/org/app:V1":             {ghcr, "org/app", "V1", "", "ghcr.io/org/app:V1"},
		"ghcr.io/org/app:v1@" + digest:   {ghcr, "org/app", "v1", digest, "ghcr.io/org/app@" + digest},
		"GHCR.IO/org/app@" + digest:      {ghcr, "org/app", "", digest, "ghcr.io/org/app@" + digest},
		"localhost:5000/app":             {"localhost:5000", "app", "latest", "", "localhost:5000/app:latest"},
		"localhost:5000/app@" + digest:   {"localhost:5000", "app", "", digest, "localhost:5000/app@" + digest},
		"[2001:DB8::1]:5000/a/b/c:x":     {"[2001:db8::1]:5000", "a/b/c", "x", "", "[2001:db8::1]:5000/a/b/c:x"},
		"my_registry.local:5000/a__b--c": {"my_registry.local:5000", "a__b--c", "latest", "", "my_registry.local:5000/a__b--c:latest"},
	} {
		got, err := oci.Parse(ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", ref, diff)
		}
	}
}

func TestRefuseReference(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("ab", 32)
	for name, ref := range map[string]string{
		"empty":                          "",
		"a space":                        "ghcr.io/org/app :v1",
		"a URL":                          "https://ghcr.io/org/app",
		"upper-case repository":          "ghcr.io/Org/app",
		"upper-case bare name":           "Nginx",
		"empty tag":                      "ghcr.io/org/app:",
		"tag of 129 characters":          "ghcr.io/org/app:" + strings.Repeat("a", 129),
		"repository of 256 characters":   "ghcr.io/" + strings.Repeat("a", 256),
		"no repository":                  "ghcr.io/",
		"two digests":                    "ghcr.io/app@sha256:" + hex + "@sha256:" + hex,
		"empty digest":                   "ghcr.io/app@",
		"short digest":                   "ghcr.io/app@sha256:" + hex[1:],
		"long digest":                    "ghcr.io/app@sha256:" + hex + "a",
		"upper-case digest":              "ghcr.io/app@sha256:" + strings.ToUpper(hex),
		"digest with another letter":     "ghcr.io/app@sha256:" + hex[1:] + "g",
		"sha512":                         "ghcr.io/app@sha512:" + hex + hex,
		"bad tag before a digest":        "ghcr.io/app:a~b@sha256:" + hex,
		"user before the host":           "ghcr.io@evil.example/app",
		"trailing dot of the host":       "ghcr.io./org/app",
		"empty label in the host":        "ghcr..io/org/app",
		"Kelvin sign in the host":        "doc\u212aer.io/app",
		"fullwidth dot in the host":      "ghcr\uff0eio:443/app",
		"zone in the host":               "[fe80::1%25eth0]:5000/app",
		"port that is none":              "ghcr.io:x/app",
		"parent directory":               "ghcr.io/org/../other/app",
		"current directory":              "ghcr.io/org/./app",
		"empty component":                "ghcr.io/org//app",
		"trailing slash":                 "ghcr.io/org/app/",
		"NUL":                            "ghcr.io/app\x00",
		"query":                          "ghcr.io/app?x=y",
		"fragment in the host":           "ghcr.io#.evil/app",
		"longer than a reference may be": strings.Repeat("a", 1025),
		"very long":                      strings.Repeat("a:/@.", 1<<20),
	} {
		got, err := oci.Parse(ref)
		if !errors.Is(err, oci.Malformed) || got != (oci.Reference{}) {
			t.Errorf("%s: got %+v and error %v, want malformed", name, got, err)
		} else if len(err.Error()) > 2500 {
			t.Errorf("%s: got a message of %d bytes, want a short one", name, len(err.Error()))
		}
	}
}

// TestRefuseAnotherSpellingOfARegistry: a glob that names a registry must not be evaded by spelling it differently.
func TestRefuseAnotherSpellingOfARegistry(t *testing.T) {
	t.Parallel()
	for name, ref := range map[string]string{
		"empty port":                     "ghcr.io:/a/b",
		"zero-padded port":               "ghcr.io:0443/a/b",
		"zero-padded port of localhost":  "localhost:05000/a",
		"port 0":                         "ghcr.io:0/a/b",
		"port beyond 65535":              "ghcr.io:65536/a/b",
		"port modulo 65536":              "ghcr.io:65979/a/b",
		"port with a sign":               "ghcr.io:+443/a/b",
		"port by its name":               "ghcr.io:https/a/b",
		"two ports":                      "ghcr.io:443:443/a/b",
		"no host":                        ":443/a/b",
		"localhost without a port":       "localhost/a",
		"localhost with a path":          "localhost/a/b:v1",
		"localhost in upper case":        "LOCALHOST/a",
		"empty port of IPv6":             "[::1]:/a",
		"zero-padded port of IPv6":       "[::1]:05000/a",
		"IPv4 in brackets":               "[127.0.0.1]:5000/a",
		"IPv6 without brackets":          "::1/a",
		"text after brackets":            "[::1]x/a",
		"brackets left open":             "[::1/a",
		"zero-padded IPv4":               "010.0.0.1:5000/a",
		"short IPv4":                     "10.1:5000/a",
		"IPv4 in one number":             "167772161:5000/a",
		"hexadecimal IPv4":               "0x0a.0.0.0x1:5000/a",
		"trailing dot before a port":     "ghcr.io.:443/a/b",
		"trailing dot of Hub's registry": "registry-1.docker.io./nginx",
	} {
		if got, err := oci.Parse(ref); !errors.Is(err, oci.Malformed) || got != (oci.Reference{}) {
			t.Errorf("%s: got %+v and error %v, want malformed", name, got, err)
		}
	}
}

// TestOneNameForOneRegistry: what may be spelled in several ways is printed in one.
func TestOneNameForOneRegistry(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"registry-1.docker.io/nginx":          "index.docker.io/library/nginx:latest",
		"Registry-1.Docker.IO/library/nginx":  "index.docker.io/library/nginx:latest",
		"registry-1.docker.io/org/app:v1":     "index.docker.io/org/app:v1",
		"registry-1.docker.io:443/org/app:v1": "index.docker.io:443/org/app:v1",
		"index.docker.io/nginx":               "index.docker.io/library/nginx:latest",
		"docker.io/nginx":                     "index.docker.io/library/nginx:latest",
		"docker.io/localhost/a":               "index.docker.io/localhost/a:latest",
		"ghcr.io:443/a/b":                     "ghcr.io:443/a/b:latest", // policies unify this one
		"ghcr.io:65535/a/b":                   "ghcr.io:65535/a/b:latest",
		"[2001:0DB8:0:0::1]:5000/a":           "[2001:db8::1]:5000/a:latest",
		"[0:0:0:0:0:0:0:1]/a":                 "[::1]/a:latest",
		"[::ffff:a00:1]:5000/a":               "[::ffff:10.0.0.1]:5000/a:latest",
		"localhost":                           "index.docker.io/library/localhost:latest", // no host for anyone
	} {
		got, err := oci.Parse(ref)
		if err != nil || got.Name != want {
			t.Errorf("%s: got %s and error %v, want %s", ref, got.Name, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"nginx", "GHCR.io/org/app:v1@sha256:" + strings.Repeat("0", 64), "localhost:5000/a", "[::1]:5000/a", "a@b", ":", "/", "a:b/c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		got, err := oci.Parse(ref)
		if err != nil {
			if !errors.Is(err, oci.Malformed) {
				t.Fatalf("got error %v, want malformed", err)
			}
			return
		}
		again, err := oci.Parse(got.Name)
		if err != nil || again.Name != got.Name || again.Digest != got.Digest {
			t.Errorf("got %+v and error %v of %s, want it to name itself", again, err, got.Name)
		}
		if got.Registry != strings.ToLower(got.Registry) || !strings.HasPrefix(got.Name, got.Registry+"/"+got.Repository) {
			t.Errorf("got %+v, want a lower-case host that begins the name", got)
		}
	})
}
