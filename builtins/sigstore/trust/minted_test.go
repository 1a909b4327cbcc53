package trust

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world/sigstore"
	"github.com/assay-dev/assay/world/tuf"
)

func clock() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

// minted is a TUF repository in memory.
type minted struct{ *tuf.Repository }

// mint makes a repository of targets; custom is their custom metadata by name, and
// expires is when roles expire, a year after the clock without.
func mint(t testing.TB, targets map[string][]byte, custom map[string]string, expires map[string]time.Time) minted {
	t.Helper()
	var list []tuf.Target
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		list = append(list, tuf.Target{Name: name, Content: targets[name], Custom: custom[name]})
	}
	made, err := tuf.New(func(role string) time.Time {
		if end, ok := expires[role]; ok {
			return end
		}
		return clock().AddDate(1, 0, 0)
	}, list...)
	if err != nil {
		t.Fatal(err)
	}
	return minted{made}
}

// resource is the repository as a TrustRoot has it, below the prefix in the archive.
func (m minted) resource(t testing.TB, prefix string) cip.Repository {
	t.Helper()
	archive, err := m.Archive(prefix)
	if err != nil {
		t.Fatal(err)
	}
	return cip.Repository{Root: m.Root, MirrorFS: archive, Targets: "targets", TrustedRootTarget: "trusted_root.json"}
}

type entry struct {
	tar.Header
	content []byte
}

// archiveOf is a gzipped tar archive of the entries; sizes are those of the contents.
func archiveOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, e := range entries {
		e.Size, e.Mode = int64(len(e.content)), 0o600
		if err := archive.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sparse is an archive of files that are one hole each, as large as a file may be
// (GNU tar's sparse format 1.0). Nothing of a hole is in the archive.
func sparse(t testing.TB, files int) []byte {
	t.Helper()
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	add := func(name string, kind byte, content string) {
		at := out.Len()
		if err := archive.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := archive.Flush(); err != nil {
			t.Fatal(err)
		}
		// The writer makes no such entries: the type, and with it the checksum, is put in.
		header := out.Bytes()[at : at+512]
		header[156] = kind
		copy(header[148:156], "        ")
		sum := 0
		for _, b := range header {
			sum += int(b)
		}
		copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
	}
	for i := range files {
		record := func(key, value string) string { // its length counts itself
			text := fmt.Sprintf(" %s=%s\n", key, value)
			return fmt.Sprint(len(text)+2) + text
		}
		add("pax", 'x', record("GNU.sparse.major", "1")+record("GNU.sparse.minor", "0")+
			record("GNU.sparse.name", fmt.Sprintf("f%06d", i))+record("GNU.sparse.realsize", fmt.Sprint(mostFileBytes)))
		add("f", tar.TypeReg, "0\n"+strings.Repeat("\x00", 510))
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return gzipped(t, out.Bytes())
}

// trustedRoot is the trusted_root.json of a new Sigstore in memory.
func trustedRoot(t testing.TB) []byte {
	t.Helper()
	made, err := sigstore.New(clock())
	if err != nil {
		t.Fatal(err)
	}
	data, err := made.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sound(t testing.TB) minted {
	t.Helper()
	return mint(t, map[string][]byte{"trusted_root.json": trustedRoot(t)}, nil, nil)
}

// trustRootOf is the TrustRoot resource of a new Sigstore in memory.
func trustRootOf(t testing.TB) []byte {
	t.Helper()
	made, err := sigstore.New(clock())
	if err != nil {
		t.Fatal(err)
	}
	return made.TrustRoot("world")
}
