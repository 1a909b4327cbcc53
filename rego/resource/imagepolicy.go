package resource

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/assay-dev/assay/rego/cip"
)

// Outside says which authorities of an ImagePolicy look for signatures where the
// installation does not allow it, and why, by their paths. allowed are those of
// [ParseSourcePrefix]. Of a ClusterImagePolicy there are none.
func Outside(p cip.Policy, allowed []string) map[string]string {
	out := map[string]string{}
	if p.Namespace == "" {
		return out
	}
	for i, authority := range p.Spec.Authorities {
		for j, source := range authority.Sources {
			if source.OCI != "" && !within(source.OCI, allowed) {
				out[fmt.Sprintf("spec.authorities[%d]", i)] = fmt.Sprintf(
					"source[%d].oci: got %.300s, want a repository that the installation allows to an ImagePolicy, or none", j, source.OCI)
			}
		}
	}
	return out
}

func within(oci string, allowed []string) bool {
	repository, err := name.NewRepository(oci)
	if err != nil {
		return false
	}
	for _, prefix := range allowed {
		if full := repository.Name(); full == prefix || strings.HasPrefix(full, prefix+"/") {
			return true
		}
	}
	return false
}

// sourcePrefix is stricter than the library, which takes what stands before a slash for a
// host, whatever it is.
var sourcePrefix = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*[.:][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*$`)

// ParseSourcePrefix reads HOST or HOST/PATH: that repository and all below it.
func ParseSourcePrefix(text string) (string, error) {
	// Two more parts: one alone is a repository of Docker Hub's library.
	const below = "/a/b"
	repository, err := name.NewRepository(text + below)
	if err != nil || !sourcePrefix.MatchString(text) {
		return "", fmt.Errorf("got %.200q, want the host of a registry, or a repository with its host", text)
	}
	return strings.TrimSuffix(repository.Name(), below), nil
}
