//go:build !nocloud

package cloud

import "net/http"

// sources are the clouds. What each library says of an error is made one kind where it is called.
func (o Options) sources() map[Cloud]source {
	return map[Cloud]source{ECR: o.ecr, ECRPublic: o.ecrPublic, Google: o.google, ACR: o.acr}
}

// client is the way to the clouds that takes the place of a library's own, if there is one.
func (o Options) client() *http.Client {
	if o.clouds == nil {
		return nil
	}
	return &http.Client{Transport: o.clouds}
}
