package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/fetcher"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/assay-dev/assay/rego/cip"
)

// Archive is a TUF repository that came along in a TrustRoot (TR-1), verified up to
// its trusted root. It serves until the first of its metadata expires: there is no
// newer one to be had.
type Archive struct {
	root  *Root
	until time.Time
	what  string // expires then
}

// OpenArchive reads and verifies a repository as it is at now, all in memory.
func OpenArchive(r cip.Repository, now time.Time) (out *Archive, err error) {
	defer func() { // what a library does with metadata that nobody has seen before
		if cause := recover(); cause != nil {
			out, err = nil, fmt.Errorf("spec.repository: reading it panicked: %.80v", cause)
		}
	}()
	all, err := unpack(r.MirrorFS)
	if err != nil {
		return nil, fmt.Errorf("spec.repository.mirrorFS: %w", err)
	}
	held, err := all.repository()
	if err != nil {
		return nil, fmt.Errorf("spec.repository.mirrorFS: %w", err)
	}
	targets, err := local(r.Targets)
	if err != nil {
		return nil, fmt.Errorf("spec.repository.targets: %w", err)
	}
	client, err := held.open(r.Root, targets)
	if err != nil {
		return nil, fmt.Errorf("spec.repository.root: %w", err)
	}
	client.UnsafeSetRefTime(now)
	if err := client.Refresh(); err != nil {
		return nil, fmt.Errorf("spec.repository: %w", held.explained(err, client))
	}
	out = &Archive{}
	if out.root, err = FromRepository(client, r.TrustedRootTarget); err != nil {
		return nil, fmt.Errorf("spec.repository: %w", err)
	}
	out.what, out.until = FirstExpiry(client)
	return out, nil
}

// Expires is when the first of the metadata does.
func (a *Archive) Expires() time.Time { return a.until }

// Serving gives the root, or says since when there is none.
func (a *Archive) Serving(now time.Time) (root *Root, cause string) {
	if now.After(a.until) {
		return nil, fmt.Sprintf("spec.repository: %s expired at %s", a.what, a.until.UTC().Format(time.RFC3339))
	}
	return a.root, ""
}

// inArchive is where the updater believes the files to be: it wants a URL.
const inArchive = "https://archive.invalid/"

func (f files) open(root []byte, targets string) (*updater.Updater, error) {
	settings, err := config.New(inArchive, root)
	if err != nil {
		return nil, err
	}
	settings.RemoteTargetsURL = inArchive + targets
	settings.Fetcher = f
	// The updater reads files even where it keeps none: no file has this name.
	settings.DisableLocalCache, settings.LocalMetadataDir = true, "\x00"
	return updater.New(settings)
}

var _ fetcher.Fetcher = files(nil)

// DownloadFile gives a file of the archive to the updater.
func (f files) DownloadFile(address string, most int64, _ time.Duration) ([]byte, error) {
	name, err := url.PathUnescape(strings.TrimPrefix(address, inArchive))
	if err != nil {
		return nil, err
	}
	content, ok := f[path.Clean(name)]
	switch {
	case !ok:
		return nil, &metadata.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: name}
	case int64(len(content)) > most:
		return nil, fmt.Errorf("%.80s: got %d bytes, want at most %d", name, len(content), most)
	}
	return content, nil
}

// explained says of metadata that has expired when it did. The updater names the
// role only, and does not keep targets that are too old.
func (f files) explained(err error, client *updater.Updater) error {
	if !errors.Is(err, &metadata.ErrExpiredMetadata{}) {
		return err
	}
	what, when := FirstExpiry(client)
	if strings.Contains(err.Error(), "new targets") {
		what, when = "targets.json", f.targetsExpiry()
	}
	return fmt.Errorf("%s expired at %s", what, when.UTC().Format(time.RFC3339))
}

// versioned is the file of a role: with a version where snapshots are consistent.
var versioned = regexp.MustCompile(`^(?:([0-9]{1,9})\.)?targets\.json$`)

func (f files) targetsExpiry() (when time.Time) {
	newest := -1
	for name, content := range f {
		match := versioned.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		version, _ := strconv.Atoi(match[1])
		var role struct {
			Signed struct {
				Expires time.Time `json:"expires"`
			} `json:"signed"`
		}
		if version > newest && json.Unmarshal(content, &role) == nil {
			newest, when = version, role.Signed.Expires
		}
	}
	return when
}

// FirstExpiry is which of the metadata that verified expires first.
func FirstExpiry(client *updater.Updater) (what string, when time.Time) {
	set := client.GetTrustedMetadataSet()
	consider := func(name string, expires time.Time) {
		if when.IsZero() || expires.Before(when) {
			what, when = name+".json", expires
		}
	}
	consider(metadata.ROOT, set.Root.Signed.Expires)
	if set.Timestamp != nil {
		consider(metadata.TIMESTAMP, set.Timestamp.Signed.Expires)
	}
	if set.Snapshot != nil {
		consider(metadata.SNAPSHOT, set.Snapshot.Signed.Expires)
	}
	for _, name := range slices.Sorted(maps.Keys(set.Targets)) {
		if role := set.Targets[name]; role != nil {
			consider(name, role.Signed.Expires)
		}
	}
	return what, when
}
