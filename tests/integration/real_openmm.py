# SPDX-License-Identifier: Apache-2.0
"""OpenMM's OpenCL platform against its reference platform, force by force.

Run by test_real_programs.py. Energies and forces of a system have to agree, and so do a few steps of an integrator.
"""
import functools
import sys

import numpy as np
import openmm
from openmm import unit

from each_test import each

SIDE_NM = 2.2
COUNT = 216
RANDOM = np.random.default_rng(3)
STEPS = 20


def lattice():
    """Places on a jolted lattice, in a box."""
    each = round(COUNT ** (1 / 3))
    grid = np.stack(np.meshgrid(*[np.arange(each)] * 3, indexing="ij"), -1).reshape(-1, 3)
    return (grid + 0.5) * (SIDE_NM / each) + RANDOM.normal(0, 0.01, (COUNT, 3))


PLACES = lattice()
CHARGES = np.where(np.arange(COUNT) % 2 == 0, 0.5, -0.5)


def box(system):
    system.setDefaultPeriodicBoxVectors(*(np.eye(3) * SIDE_NM))


def nonbonded(method):
    def make(system):
        force = openmm.NonbondedForce()
        force.setNonbondedMethod(method)
        force.setCutoffDistance(0.9)
        for charge in CHARGES:
            force.addParticle(charge, 0.3, 0.5)
        return force
    return make


def chain(kind, add):
    """A force on a chain of particles."""
    def make(system):
        force = kind()
        for i in range(COUNT - 3):
            add(force, i)
        return force
    return make


def custom_nonbonded(system):
    force = openmm.CustomNonbondedForce("k*exp(-r/0.2)*(s1+s2); k=12")
    force.addPerParticleParameter("s")
    force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(0.9)
    for i in range(COUNT):
        force.addParticle([0.5 + 0.01 * (i % 7)])
    return force


def custom_external(system):
    force = openmm.CustomExternalForce("k*((x-1)^2+(y-1)^2+(z-1)^2); k=3")
    for i in range(COUNT):
        force.addParticle(i, [])
    return force


def obc(system):
    force = openmm.GBSAOBCForce()
    force.setNonbondedMethod(openmm.GBSAOBCForce.CutoffPeriodic)
    force.setCutoffDistance(0.9)
    for charge in CHARGES:
        force.addParticle(charge, 0.15, 0.8)
    return force


FORCES = {
    "nonbonded without cutoff": nonbonded(openmm.NonbondedForce.NoCutoff),
    "nonbonded with cutoff": nonbonded(openmm.NonbondedForce.CutoffPeriodic),
    "Ewald": nonbonded(openmm.NonbondedForce.Ewald),
    "PME": nonbonded(openmm.NonbondedForce.PME),
    "bonds": chain(openmm.HarmonicBondForce, lambda f, i: f.addBond(i, i + 1, 0.3, 800)),
    "angles": chain(openmm.HarmonicAngleForce, lambda f, i: f.addAngle(i, i + 1, i + 2, 1.9, 60)),
    "torsions": chain(openmm.PeriodicTorsionForce, lambda f, i: f.addTorsion(i, i + 1, i + 2, i + 3, 2, 0.5, 3)),
    "torsions of Ryckaert and Bellemans": chain(openmm.RBTorsionForce,
                                                lambda f, i: f.addTorsion(i, i + 1, i + 2, i + 3, 1, 2, 3, 1, 0.5, 0.2)),
    "custom nonbonded": custom_nonbonded,
    "custom external": custom_external,
    "implicit water": obc,
}


def integrators():
    def seeded(integrator):
        integrator.setRandomNumberSeed(5)
        return integrator
    return {
        "Verlet": lambda: openmm.VerletIntegrator(0.001),
        "variable Verlet": lambda: openmm.VariableVerletIntegrator(0.0001),
        "Langevin without heat": lambda: seeded(openmm.LangevinMiddleIntegrator(0, 1, 0.001)),
    }


def state(platform, force, integrator, steps=0):
    system = openmm.System()
    box(system)
    for _ in range(COUNT):
        system.addParticle(18)
    system.addForce(force(system))
    properties = {"Precision": "mixed"} if platform == "OpenCL" else {}
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform), properties)
    context.setPositions(PLACES)
    integrator.step(steps)
    got = context.getState(getEnergy=True, getForces=True, getPositions=True)
    return (got.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole), got.getForces(asNumpy=True)._value,
            got.getPositions(asNumpy=True)._value)


def why_not(*test):
    try:
        return difference(*test)
    except openmm.OpenMMException as error:
        return str(error).strip()


def difference(force, integrator, steps):
    energy, forces, places = state("Reference", force, integrator(), steps)
    own_energy, own_forces, own_places = state("OpenCL", force, integrator(), steps)
    scale = max(1.0, np.abs(forces).max())
    if abs(energy - own_energy) > 1e-3 * max(1.0, abs(energy)):
        return f"energies are {energy} and {own_energy}"
    if np.abs(forces - own_forces).max() > 2e-3 * scale:
        return f"forces differ by {np.abs(forces - own_forces).max()} of {scale}"
    if np.abs(places - own_places).max() > 1e-4:
        return f"places differ by {np.abs(places - own_places).max()} nm"
    return None


def main():
    names = [openmm.Platform.getPlatform(i).getName() for i in range(openmm.Platform.getNumPlatforms())]
    print(f"OpenMM {openmm.__version__}: {', '.join(names)}")
    if "OpenCL" not in names:
        print("no OpenCL:", "; ".join(openmm.Platform.getPluginLoadFailures()))
        return 1
    tests = {name: (force, integrators()["Verlet"], 0) for name, force in FORCES.items()}
    tests |= {name: (FORCES["PME"], integrator, STEPS) for name, integrator in integrators().items()}
    each({name: functools.partial(why_not, *test) for name, test in tests.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
