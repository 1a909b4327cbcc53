package stores

// TagOf and NameOf are for tests of the names in registries.
var (
	TagOf  = tagOf
	NameOf = nameOf
	// RoleProxy is for tests of who sees the credentials of a role.
	RoleProxy = roleProxy
)
