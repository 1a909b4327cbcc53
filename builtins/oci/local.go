package oci

import "github.com/google/go-containerregistry/pkg/authn"

// LocalCredentials are those of whoever runs the program: the docker
// configuration (DOCKER_CONFIG or ~/.docker/config.json) and its helpers.
func LocalCredentials() Credentials {
	return Credentials{ID: "local", Keychain: authn.DefaultKeychain}
}
