// Package pullsecret reads the registry credentials in Secrets of Kubernetes: docker configurations that anybody who
// may write a Secret wrote. Nothing of their content is ever in an error.
package pullsecret

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/edge"
)

// The types of Secrets that have registry credentials, and where in their data.
const (
	TypeConfigJSON = "kubernetes.io/dockerconfigjson"
	TypeConfig     = "kubernetes.io/dockercfg"
	keyConfigJSON  = ".dockerconfigjson"
	keyConfig      = ".dockercfg"
)

const (
	// maxBytes bounds one configuration; Kubernetes bounds a Secret at as much.
	maxBytes = 1 << 20
	// maxEntries bounds the hosts of all Secrets together.
	maxEntries = 1000
)

// Secret is what is read of a Secret.
type Secret struct {
	Name string
	Type string
	Data map[string][]byte
}

// Credentials are those of the Secrets of one namespace, in their order: of several entries that fit a repository as
// well, the first counts. A Secret of another type is skipped, as a kubelet does. The ID names the namespace, the
// Secrets and their content, so that nothing obtained with them serves anybody else, nor themselves once they change.
// Without any entry the credentials are anonymous.
func Credentials(namespace string, secrets []Secret) (oci.Credentials, error) {
	var ring keyring
	id := sha256.New()
	write := func(part []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		id.Write(n[:])
		id.Write(part)
	}
	write([]byte(namespace))
	for _, secret := range secrets {
		content, found, err := secret.entries()
		if err != nil {
			return oci.Credentials{}, err
		}
		if len(ring)+len(found) > maxEntries {
			return oci.Credentials{}, edge.Refuse(edge.TooLarge, "secret %q: got more than %d registries", secret.Name, maxEntries)
		}
		ring = append(ring, found...)
		write([]byte(secret.Name))
		write(content)
	}
	if len(ring) == 0 {
		return oci.Credentials{}, nil
	}
	slices.SortStableFunc(ring, func(a, b entry) int { return cmp.Compare(b.weight(), a.weight()) })
	return oci.Credentials{ID: "pull secrets " + hex.EncodeToString(id.Sum(nil)), Keychain: ring}, nil
}

// Before puts credentials before others, which serve the repositories that the first have no entry for. The ID names
// both.
func Before(first, behind oci.Credentials) oci.Credentials {
	switch {
	case first.Keychain == nil:
		return behind
	case behind.Keychain == nil:
		return first
	}
	return oci.Credentials{
		ID: fmt.Sprintf("%q before %q", first.ID, behind.ID), Keychain: authn.NewMultiKeychain(first.Keychain, behind.Keychain),
	}
}

// entries are those of the configuration in a Secret, and its bytes.
func (s Secret) entries() (content []byte, out []entry, err error) {
	switch s.Type {
	case TypeConfigJSON:
		content = s.Data[keyConfigJSON]
	case TypeConfig:
		content = s.Data[keyConfig]
	}
	if len(content) == 0 {
		return nil, nil, nil
	}
	if len(content) > maxBytes {
		return nil, nil, edge.Refuse(edge.TooLarge, "secret %q: got a docker configuration of %d bytes, want at most %d", s.Name, len(content), maxBytes)
	}
	var file struct {
		Auths map[string]authn.AuthConfig `json:"auths"`
	}
	into := any(&file)
	if s.Type == TypeConfig {
		into = &file.Auths
	}
	// The error of the decoder would quote what it could not read.
	if json.Unmarshal(content, into) != nil {
		return nil, nil, edge.Refuse(edge.Malformed, "secret %q: got content that is not a docker configuration", s.Name)
	}
	for written, auth := range file.Auths {
		if e, ok := parseEntry(written, auth); ok {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.path, b.path)) })
	return content, out, nil
}

// entry is the credentials for a host, or for what lies below a path of it. A label of the host may be a glob.
type entry struct {
	host, path string
	auth       authn.AuthConfig
}

func parseEntry(written string, auth authn.AuthConfig) (entry, bool) {
	at := written
	for _, scheme := range []string{"https://", "http://"} {
		at = strings.TrimPrefix(at, scheme)
	}
	host, below, _ := strings.Cut(at, "/")
	below = strings.Trim(below, "/")
	if below == "v1" || below == "v2" || strings.HasPrefix(below, "v1/") || strings.HasPrefix(below, "v2/") {
		below = strings.Trim(below[2:], "/") // of the registry's API, not of a repository
	}
	host = strings.ToLower(host)
	if canonical, ok := edge.CanonicalHost(host); ok {
		host = canonical
	}
	return entry{host: host, path: below, auth: auth}, host != ""
}

// weight orders entries: what says more about a repository comes first.
func (e entry) weight() int {
	weight := 2 * len(e.path)
	if !strings.ContainsAny(e.host, `*?[\`) {
		weight++
	}
	return weight
}

// fits reports whether the entry is for a repository. Globs are matched label by label, so that one cannot reach into
// another domain, and a path ends where a part of it ends.
func (e entry) fits(registry, repository string) bool {
	want, got := strings.Split(e.host, "."), strings.Split(registry, ".")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if ok, err := path.Match(want[i], got[i]); err != nil || !ok {
			return false
		}
	}
	return e.path == "" || e.path == repository || strings.HasPrefix(repository, e.path+"/")
}

// keyring are entries, those that say most first.
type keyring []entry

// Resolve implements authn.Keychain. A registry without an entry is asked anonymously.
func (k keyring) Resolve(of authn.Resource) (authn.Authenticator, error) {
	repository := strings.TrimPrefix(of.String(), of.RegistryStr()+"/")
	for _, e := range k {
		if e.fits(of.RegistryStr(), repository) {
			return authn.FromConfig(e.auth), nil
		}
	}
	return authn.Anonymous, nil
}
