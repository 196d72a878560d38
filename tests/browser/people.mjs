// Signing in and out as a person does it.

// Contoso, whose people the simulator plays.
export const tenant = '3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77';

export async function signedIn(visit, person) {
  await visit.page.goto(`${visit.demo.wiki}/`);
  await signIn(visit.page, person);
  await visit.page.waitForURL(`${visit.demo.wiki}/**`);
}

// The simulator's page: choose a person or type a name, then the password.
export async function signIn(page, person, password = 'demo') {
  const account = page.locator('label', { hasText: new RegExp(`^${person}`, 'i') });
  if (await account.count()) await account.first().click();
  else await page.locator('input[type=text], input[type=email]').first().fill(`${person}@contoso.example`);
  await page.locator('input[type=password]').fill(password);
  await page.locator('input[type=password]').press('Enter');
  await page.waitForLoadState();
}

export async function signOut({ page, demo }) {
  await page.goto(`${demo.wiki}/.portcullis/sign-out`);
  const confirm = page.locator('form[method=post] button');
  if (await confirm.count()) await confirm.first().click();
  await page.waitForLoadState();
}
