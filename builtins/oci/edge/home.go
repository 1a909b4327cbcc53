package edge

import "net/http"

// Homebound is how credentials say that they are worth more than the registry that they are for, as a token of a cloud
// is: they are sent to that registry over TLS, and to no token realm, redirect or port besides.
type Homebound interface{ Homebound() }

// Home keeps a session to its registry where the credentials that it begins with are [Homebound].
func (s *Session) Home(registry string, credentials any) *Session {
	if _, bound := credentials.(Homebound); bound {
		s.home = registry
	}
	return s
}

// stays refuses a request that would carry such credentials elsewhere, or might: until the session has begun any other
// host is where the registry sends us for a token. Afterwards it is where content is, which gets no credentials.
func (s *Session) stays(req *http.Request) error {
	switch {
	case s.home == "":
		return nil
	case req.URL.Host != s.home && (!s.begun.Load() || req.Header.Get("Authorization") != ""):
		return Refuse(ForbiddenHost, "host %s: got a request with credentials of a cloud, which are for %s alone", req.URL.Host, s.home)
	case req.URL.Host == s.home && req.URL.Scheme != "https":
		return Refuse(ForbiddenHost, "host %s: got plain %s with credentials of a cloud, want https", s.home, req.URL.Scheme)
	}
	return nil
}
