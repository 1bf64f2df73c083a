export const smallGuest = (): string => process.env['VMSPAWN_GUEST_SMALL'] ?? '';
export const debianImage = (): string => process.env['VMSPAWN_GUEST_DEBIAN'] ?? '';
export const copyImage = (path: string, _directory: string): string => path;
