package oci

import (
	"os"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
)

// LocalCredentials are those of whoever runs the program: the docker configuration (DOCKER_CONFIG or
// ~/.docker/config.json) and its helpers. The helper of its credsStore is run for every host that an image names, so
// they are for a program whose images its user names; [WebhookCredentials] are for one whose images strangers name.
func LocalCredentials() Credentials {
	return Credentials{ID: "local", Keychain: authn.DefaultKeychain}
}

// WebhookCredentials are those of the docker configuration that are written for a host: under auths, or by the helper
// that credHelpers names for that very host. The credsStore, which answers for any host, is not asked.
func WebhookCredentials() Credentials {
	return Credentials{ID: "webhook", Keychain: listedHosts{}}
}

// listedHosts reads the docker configuration each time, as mounted secrets change.
type listedHosts struct{}

// Resolve implements authn.Keychain. The entry with the longest path that the repository lies in counts, then the one
// of its registry; an entry with a path says nothing of the rest of its registry.
func (listedHosts) Resolve(of authn.Resource) (authn.Authenticator, error) {
	file, err := config.Load(os.Getenv("DOCKER_CONFIG"))
	if err != nil {
		return nil, err
	}
	for at := of.String(); ; at = at[:max(strings.LastIndexByte(at, '/'), 0)] {
		if at == of.RegistryStr() || !strings.Contains(at, "/") {
			break
		}
		if entry, ok := file.AuthConfigs[at]; ok {
			return listed(entry), nil
		}
	}
	names := []string{of.RegistryStr(), "https://" + of.RegistryStr(), "https://" + of.RegistryStr() + "/v1/"}
	if of.RegistryStr() == "index.docker.io" {
		names = append(names, "docker.io")
	}
	for _, name := range names {
		if helper, ok := file.CredentialHelpers[name]; ok && helper != "" {
			entry, err := file.GetCredentialsStore(name).Get(name)
			if err != nil {
				return nil, err
			}
			return listed(entry), nil
		}
		if entry, ok := file.AuthConfigs[name]; ok {
			return listed(entry), nil
		}
	}
	return authn.Anonymous, nil
}

func listed(entry types.AuthConfig) authn.Authenticator {
	return authn.FromConfig(authn.AuthConfig{
		Username: entry.Username, Password: entry.Password, Auth: entry.Auth,
		IdentityToken: entry.IdentityToken, RegistryToken: entry.RegistryToken,
	})
}
