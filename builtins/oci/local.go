package oci

import (
	"os"

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

// Resolve implements authn.Keychain. Entries of a repository come before those of its registry.
func (listedHosts) Resolve(of authn.Resource) (authn.Authenticator, error) {
	file, err := config.Load(os.Getenv("DOCKER_CONFIG"))
	if err != nil {
		return nil, err
	}
	file.CredentialsStore = ""
	for _, at := range []string{of.String(), of.RegistryStr()} {
		found, err := file.GetAuthConfig(at)
		if err != nil {
			return nil, err
		}
		found.ServerAddress = "" // set even where nothing was found
		if found != (types.AuthConfig{}) {
			return authn.FromConfig(authn.AuthConfig{
				Username: found.Username, Password: found.Password, Auth: found.Auth,
				IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
			}), nil
		}
	}
	return authn.Anonymous, nil
}
